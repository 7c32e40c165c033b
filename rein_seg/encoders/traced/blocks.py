"""Blocks of a network: the modules in whose forward a residual sum is, and their like.

A residual sum adds what a branch makes of the stream to the stream itself, or to a projection of
it (a convolution and a norm, where a block changes the map's size or width).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rein_seg.encoders.traced.flow import Flow, nearest_operations

_SUMS = ('add', 'iadd', 'radd')


@dataclass(frozen=True)
class Sum:
    """A residual sum.

    Attributes:
        op: The function that adds.
        base: The stream that the branch starts from.
        branch: The value that is added to the stream.
        branch_ops: Functions that make it.
        skip_ops: Functions on the way of the stream; empty unless it is projected or rearranged.
        out: The stream behind the sum.
    """

    op: int
    base: int
    branch: int
    branch_ops: frozenset[int]
    skip_ops: frozenset[int]
    out: int


@dataclass(frozen=True)
class Block:
    """A block.

    Attributes:
        name: Of the module.
        call: Its call.
        input: The stream that enters.
        output: The stream that leaves.
        sums: Its residual sums, in order; none in a block without a shortcut.
        stage: Index of its stage.
    """

    name: str
    call: int
    input: int
    output: int
    sums: tuple[Sum, ...]
    stage: int = 0


def find_blocks(flow: Flow) -> list[Block]:
    """Returns the blocks of a network in forward order; all lead to one of its outputs.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm import TimmStages
        >>> from rein_seg.encoders.traced import record
        >>> from rein_seg.encoders.traced.blocks import find_blocks
        >>> from rein_seg.encoders.traced.flow import Flow
        >>> found = record(TimmStages('resnet18'), torch.zeros(1, 3, 64, 64))
        >>> [block.name for block in find_blocks(Flow(found))][:3]
        ['model.layer1.0', 'model.layer1.1', 'model.layer2.0']
    """
    sums = _find_sums(flow)
    held = {call: tuple(found) for call, found in sums.items() if _takes_stream(flow, call)}
    held = {call: found for call, found in held.items() if not _is_part(flow, call, held)}
    if not held:
        return _single_operations(flow)
    patterns = {_pattern(flow.record.calls[call].name) for call in held}
    for number, call in enumerate(flow.record.calls):
        alike = _pattern(call.name) in patterns and number not in held
        alike = alike and call.inputs[:1] != (flow.record.image,)  # a stem
        if alike and not _near(flow, number, held) and _takes_stream(flow, number):
            inner = range(call.start, call.stop)
            if flow.operations(set(inner) & flow.used):
                held[number] = ()
    blocks = []
    for number, found in sorted(held.items()):
        call = flow.record.calls[number]
        assert call.inputs[0] is not None and call.output is not None
        blocks.append(Block(call.name, number, call.inputs[0], call.output, found))
    return blocks


def _single_operations(flow: Flow) -> list[Block]:
    """Returns each operation of a network without residual sums as a block."""
    blocks = []
    for number in flow.operations(flow.used):
        index = flow.record.ops[number].call
        call = flow.record.calls[index]
        if _takes_stream(flow, index) and call.inputs[0] is not None and call.output is not None:
            blocks.append(Block(call.name, index, call.inputs[0], call.output, ()))
    return blocks


def parallel_operations(flow: Flow) -> set[int]:
    """Returns operations that read the same tensor, and are summed without a residual sum."""
    found: set[int] = set()
    for number in flow.used:
        op = flow.record.ops[number]
        operands = flow.dependent(op)
        if op.name in _SUMS and len(operands) == 2:
            first, second = (nearest_operations(flow, value, flow.used) for value in operands)
            read = [{flow.record.ops[n].inputs[0] for n in side} for side in (first, second)]
            if not set(first) & set(second) and read[0] & read[1]:
                found |= {n for n in (*first, *second) if _single(flow, n, number)}
    return found


def _single(flow: Flow, operation: int, total: int) -> bool:
    """Returns whether only norms lie between an operation and a sum."""
    value = flow.record.ops[operation].outputs[0]
    readers = [n for n in flow.readers[value] if n in flow.used]
    while len(readers) == 1 and readers[0] != total and readers[0] in flow.norms(readers):
        value = flow.record.ops[readers[0]].outputs[0]
        readers = [n for n in flow.readers[value] if n in flow.used]
    return readers == [total]


def _find_sums(flow: Flow) -> dict[int, list[Sum]]:
    record = flow.record
    sums: dict[int, list[Sum]] = {}
    for number, op in enumerate(record.ops):
        operands = flow.dependent(op)
        if op.name not in _SUMS or number not in flow.used or len(operands) != 2:
            continue
        if record.shape(operands[0]) != record.shape(operands[1]):
            continue
        inputs = record.calls[op.call].inputs
        if not inputs or inputs[0] is None:
            continue
        earlier = [s.out for s in sums.get(op.call, [])]
        found = _residual(flow, number, [inputs[0], *earlier], operands)
        if found is None:
            stream = _with_parts(flow, op.call, inputs[0], sums)
            found = _residual(flow, number, stream, operands)
        if found is not None:
            sums.setdefault(op.call, []).append(found)
    return sums


def _with_parts(flow: Flow, call: int, base: int, sums: dict[int, list[Sum]]) -> list[int]:
    """Returns the stream of a call with the small sums of its parts (convolutions of positions)."""
    inside = [
        found
        for part, own in sums.items()
        if flow.record.inside(part, call) and (part == call or _is_small(flow, own))
        for found in own
    ]
    stream = [base]
    for found in sorted(inside, key=lambda found: found.op):
        if flow.same(found.base) == flow.same(stream[-1]):
            stream.append(found.out)
    return stream


def _is_small(flow: Flow, sums: Sequence[Sum]) -> bool:
    """Returns whether sums are one shortcut around a single operation."""
    return len(sums) == 1 and len(flow.operations(sums[0].branch_ops)) < 2


def _residual(flow: Flow, number: int, bases: list[int], operands: list[int]) -> Sum | None:
    """Returns a sum as a residual sum, if one operand is the stream, or a projection of it."""
    out = flow.record.ops[number].outputs[0]
    ways = [flow.behind(value, bases) for value in operands]
    for skip, branch in ((0, 1), (1, 0)):
        (skipped, touched), (made, origin) = ways[skip], ways[branch]
        if touched != {bases[-1]} or not origin or not flow.operations(made):
            continue
        plain = not flow.weighted(skipped)
        projected = len(flow.operations(skipped)) == 1 and len(flow.operations(made)) > 1
        shared = set(flow.operations(skipped)) & made
        if plain or (projected and not shared):
            base = bases[-1] if bases[-1] in origin else min(origin)
            return Sum(number, base, operands[branch], frozenset(made), frozenset(skipped), out)
    return None


def _takes_stream(flow: Flow, number: int) -> bool:
    """Returns whether a call takes a tensor first and returns one, once in the pass."""
    call = flow.record.calls[number]
    one = flow.counts[call.name] == 1 and call.output in flow.seen
    return bool(one and call.name and call.inputs and call.inputs[0] in flow.seen)


def _is_part(flow: Flow, number: int, held: dict[int, Any]) -> bool:
    """Returns whether a module with sums is a part of a block, or holds blocks itself."""
    record = flow.record
    others = [call for call in held if call != number]
    outer = [c for c in others if record.inside(record.calls[number].parent, c)]
    inner = [c for c in others if record.inside(record.calls[c].parent, number)]
    part = _is_small(flow, held[number])
    return any(part or not _follows(flow, number, call, held) for call in outer) or any(
        not _is_small(flow, held[call]) and _follows(flow, call, number, held) for call in inner
    )


def _follows(flow: Flow, number: int, outer: int, held: dict[int, Any]) -> bool:
    """Returns whether a module in ``outer`` works on its stream, and not on one of a branch."""
    calls = flow.record.calls
    before = [c for c in held if flow.record.inside(calls[c].parent, outer) and c < number]
    stream = [calls[c].output for c in before] + [calls[outer].inputs[0]]
    value = calls[number].inputs[0]
    assert value is not None
    made, touched = flow.behind(value, [v for v in stream if v is not None])
    return bool(touched) and not flow.operations(made)


def _near(flow: Flow, number: int, held: dict[int, Any]) -> bool:
    return any(flow.record.inside(c, number) or flow.record.inside(number, c) for c in held)


def _pattern(name: str) -> str:
    return re.sub(r'\d+', '*', name)
