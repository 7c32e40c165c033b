"""Questions about a `Record`: what a tensor was made from, and what it leads to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from rein_seg.encoders.traced.record import Call, Op, Record

# functions that normalise; with their weight and bias they are NORM sites
NORMS = ('batch_norm', 'layer_norm', 'group_norm', 'instance_norm', 'rms_norm')
OPERATIONS = ('linear', 'conv2d')


class Flow:
    """Looks things up in a record.

    Attributes:
        record: The record.
        seen: Values that depend on the image.
        used: Functions that one of the outputs depends on.
        readers: Value -> the functions that read it.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.seen = {record.image}
        self.readers: dict[int, list[int]] = defaultdict(list)
        for number, op in enumerate(record.ops):
            for value in op.inputs:
                self.readers[value].append(number)
            if any(value in self.seen for value in op.inputs):
                self.seen.update(op.outputs)
        self.used: set[int] = set()
        for value in record.outputs:
            self.used |= self.behind(value, ())[0]
        self._by_output: dict[int, list[Call]] = defaultdict(list)
        self._by_input: dict[int, list[Call]] = defaultdict(list)
        self.counts: dict[str, int] = defaultdict(int)
        for call in record.calls:
            self.counts[call.name] += 1
            if call.output is not None:
                self._by_output[call.output].append(call)
            if call.inputs and call.inputs[0] is not None:
                self._by_input[call.inputs[0]].append(call)

    def behind(self, value: int, bases: Collection[int]) -> tuple[set[int], set[int]]:
        """Returns the functions that make ``value`` out of ``bases``, and the bases it needs.

        Without bases it goes back to the image.
        """
        ops: set[int] = set()
        touched: set[int] = set()
        todo = [value]
        while todo:
            found = todo.pop()
            if found in bases:
                touched.add(found)
                continue
            op = self.record.values[found].op
            if op >= 0 and op not in ops:
                ops.add(op)
                todo += self.record.ops[op].inputs
        return ops, touched

    def dependent(self, op: Op) -> list[int]:
        """Returns the inputs of a function that depend on the image."""
        return [value for value in op.inputs if value in self.seen]

    def weighted(self, ops: Collection[int]) -> list[int]:
        """Returns the functions with parameters that work on the image, in order."""
        record = self.record
        return [
            number
            for number in sorted(ops)
            if record.ops[number].params and self.dependent(record.ops[number])
        ]

    def operations(self, ops: Collection[int]) -> list[int]:
        """Returns the linears and convolutions among functions, in order.

        Those whose weight is computed from a parameter are none, even if their bias is one.
        """
        record = self.record
        return [
            n
            for n in self.weighted(ops)
            if record.ops[n].name in OPERATIONS and len(record.weights[record.ops[n].params[0]]) > 1
        ]

    def norms(self, ops: Collection[int]) -> list[int]:
        """Returns the norms among functions, in order."""
        return [n for n in self.weighted(ops) if self.record.ops[n].name in NORMS]

    def made_by(self, value: int, outer: int) -> list[Call]:
        """Returns the calls within the call ``outer`` that return ``value``, first to last."""
        return self._within(self._by_output.get(value, []), outer)

    def read_by(self, value: int, outer: int) -> list[Call]:
        """Returns the calls within the call ``outer`` whose first argument is ``value``."""
        return self._within(self._by_input.get(value, []), outer)

    def _within(self, calls: list[Call], outer: int) -> list[Call]:
        record = self.record
        return [call for call in calls if call.parent >= 0 and record.inside(call.parent, outer)]

    def same(self, value: int) -> int:
        """Goes back over functions that only arrange a tensor in another way."""
        op = self.record.maker(value)
        while op is not None and op.name in ARRANGING and self.dependent(op):
            value = self.dependent(op)[0]
            op = self.record.maker(value)
        return value


ARRANGING = (
    *('permute', 'transpose', 'view', 'reshape', 'flatten', 'contiguous', 'swapaxes', 'movedim'),
    *('unflatten', 'squeeze', 'unsqueeze', 'clone'),
)


def nearest_operations(flow: Flow, value: int, ops: Collection[int]) -> list[int]:
    """Returns the operations that a value is made of without another operation between."""
    found: set[int] = set()
    seen: set[int] = set()
    todo = [value]
    while todo:
        number = flow.record.values[todo.pop()].op
        if number < 0 or number in seen or number not in ops:
            continue
        seen.add(number)
        if flow.operations([number]):
            found.add(number)
        else:
            todo += flow.record.ops[number].inputs
    return sorted(found)
