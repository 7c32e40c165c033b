"""Roles of the operations of an attention: which of them make queries, keys and values."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from rein_seg.encoders.traced.flow import ARRANGING, Flow, nearest_operations
from rein_seg.encoders.traced.record import Op

Roles = dict[int, tuple[str, tuple[str, ...]]]  # function -> role, parts of its output

_FUSED = 'scaled_dot_product_attention'
_PRODUCTS = ('matmul', 'bmm', 'einsum')
_NAMES = ('q', 'k', 'v')


def is_attention(flow: Flow, ops: Collection[int]) -> bool:
    """Returns whether functions hold an attention of tokens."""
    return _operands(flow, ops) is not None


def attention_roles(flow: Flow, ops: Collection[int], main: Collection[int]) -> Roles:
    """Returns function -> (role, parts) of an attention's operations.

    Args:
        flow: The record.
        ops: Functions of the branch.
        main: Its operations.
    """
    operands = _operands(flow, ops)
    assert operands is not None, 'no attention'
    makes: dict[int, list[str]] = {}
    for name, value in zip(_NAMES, operands, strict=True):
        for number in nearest_operations(flow, value, ops):
            makes.setdefault(number, []).append(name)
    roles: Roles = {
        number: (''.join(names), _parts(flow, number, names, operands))
        for number, names in makes.items()
    }
    after = [n for n in main if n not in roles and n > max(roles, default=-1)]
    for number in main:
        if number not in roles:
            late = number in after and _reads_attention(flow, number, operands)
            roles[number] = ('proj' if late else _early(flow, number, makes), ())
    return roles


def _early(flow: Flow, number: int, makes: dict[int, list[str]]) -> str:
    """Returns the role of an operation in front of the projections: keys are reduced in space."""
    fed = {
        name
        for made, names in makes.items()
        if number in flow.behind(flow.record.ops[made].inputs[0], ())[0]
        for name in names
    }
    return 'sr' if fed and 'q' not in fed else 'cpe'


def _reads_attention(flow: Flow, number: int, operands: tuple[int, int, int]) -> bool:
    behind = flow.behind(flow.record.ops[number].inputs[0], operands)[1]
    return set(operands[:2]) <= behind


def _operands(flow: Flow, ops: Collection[int]) -> tuple[int, int, int] | None:
    """Returns the values of queries, keys and values of the first attention among functions."""
    record = flow.record
    for number in sorted(ops):
        op = record.ops[number]
        if op.name == _FUSED:
            q, k, v = (value for value in op.inputs[:3])
            return q, k, v
        if op.name == 'softmax':
            found = _written_out(flow, op, ops)
            if found is not None:
                return found
    return None


def _written_out(flow: Flow, softmax: Op, ops: Collection[int]) -> tuple[int, int, int] | None:
    """Returns the operands of softmax(q k) v."""
    record = flow.record
    before = next(_backwards(flow, softmax.inputs[0], ops, _PRODUCTS), None)
    behind = [n for n in sorted(ops) if record.ops[n].name in _PRODUCTS]
    for number in behind:
        product = record.ops[number]
        from_softmax = [softmax.outputs[0] in _values(flow, v) for v in product.inputs[:2]]
        if before is not None and sum(from_softmax) == 1:
            q, k = before.inputs[:2]
            return q, k, product.inputs[from_softmax.index(False)]
    return None


def _values(flow: Flow, value: int) -> set[int]:
    """Returns a value, and those it was made of without another product or operation."""
    found, todo = set(), [value]
    while todo:
        current = todo.pop()
        found.add(current)
        op = flow.record.maker(current)
        if op is not None and not op.params and op.name not in (*_PRODUCTS, 'softmax'):
            todo += [v for v in op.inputs if v not in found]
    return found


def _backwards(
    flow: Flow, value: int, ops: Collection[int], names: Collection[str]
) -> Iterator[Op]:
    """Yields the nearest functions of some names that a value is made of."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        number = flow.record.values[todo.pop(0)].op
        if number < 0 or number in seen or number not in ops:
            continue
        seen.add(number)
        op = flow.record.ops[number]
        if op.name in names and len(flow.dependent(op)) == 2:
            yield op
        else:
            todo += op.inputs


def _parts(
    flow: Flow, number: int, names: list[str], operands: tuple[int, int, int]
) -> tuple[str, ...]:
    """Returns the names of the equal slices of a fused output in order; none if interleaved."""
    if len(names) == 1:
        return ()
    order = {}
    for name in names:
        index = _slice(flow, number, operands[_NAMES.index(name)], len(names))
        if index is not None:
            order[index] = name
    complete = sorted(order) == list(range(len(names)))
    return tuple(order[i] for i in range(len(names))) if complete else ()


def _slice(flow: Flow, number: int, value: int, count: int) -> int | None:
    """Returns which of ``count`` slices of an operation's channels a value is made of."""
    record = flow.record
    output = record.ops[number].outputs[0]
    path: list[int] = []  # values from ``value`` back to the output, taking first inputs
    while value != output:
        path.append(value)
        op = record.maker(value)
        if op is None or not flow.dependent(op):
            return None
        value = flow.dependent(op)[0]
    whole = output
    for step in reversed(path):
        op = record.maker(step)
        assert op is not None
        if op.name in ('unbind', 'chunk', 'split', 'iter', 'tensor_split'):
            return op.outputs.index(step) if _is_outer(flow, output, whole, count) else None
        if op.name == 'getitem' and isinstance(op.args[0][1], int):
            return op.args[0][1] if _is_outer(flow, output, whole, count) else None
        if op.name in ARRANGING and len(record.shape(step)) > len(record.shape(output)):
            whole = step if whole == output else whole
    return None


def _is_outer(flow: Flow, output: int, arranged: int, count: int) -> bool:
    """Returns whether the slices are the outermost part of the channels, not one in each head."""
    lead, width = flow.record.shape(output)[:-1], flow.record.shape(output)[-1]
    shape = flow.record.shape(arranged)
    if arranged == output:
        return True
    for index, size in enumerate(shape):
        if math.prod(shape[:index]) == math.prod(lead) and size != 1:
            return size == count and math.prod(shape[index:]) == width
    return False
