"""Layouts of tensors: which of their dimensions are the channels.

A convolution or batch norm makes (B, C, H, W), a linear or layer norm puts the channels last; from
there the dimension is followed through functions that keep or move it.
"""

from __future__ import annotations

import math
from typing import Any

from rein_seg.encoders.traced.flow import Flow
from rein_seg.encoders.traced.record import Op
from rein_seg.structures import Layout

_FIRST = ('conv2d', 'batch_norm', 'group_norm', 'instance_norm')
_LAST = ('linear', 'layer_norm', 'rms_norm')
_SHAPING = ('view', 'reshape', 'flatten', 'unflatten', 'squeeze', 'unsqueeze')
_JOINING = ('cat', 'concat', 'chunk', 'split', 'tensor_split', 'narrow')
_LAYOUTS: dict[tuple[int, int], Layout] = {(4, 1): 'NCHW', (4, 3): 'NHWC', (3, 2): 'NLC'}


class Layouts:
    """Looks up the layout of each value of a record.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.encoders.traced import record
        >>> from rein_seg.encoders.traced.flow import Flow
        >>> from rein_seg.encoders.traced.layouts import Layouts
        >>> found = record(nn.Sequential(nn.Conv2d(3, 8, 3)), torch.zeros(1, 3, 8, 8))
        >>> Layouts(Flow(found)).of(found.outputs[0])
        'NCHW'
    """

    def __init__(self, flow: Flow) -> None:
        self.record = flow.record
        self.axes: dict[int, int] = {flow.record.image: 1}
        for op in flow.record.ops:
            for value in op.outputs:
                axis = self._axis(op, value, flow)
                if axis is not None:
                    self.axes[value] = axis

    def of(self, value: int) -> Layout | None:
        """Returns the layout of a value; None if it is not known, or none of the known layouts."""
        axis = self.axes.get(value)
        return None if axis is None else _LAYOUTS.get((len(self.record.shape(value)), axis))

    def channels(self, value: int) -> int | None:
        """Returns the channels of a value; None if it is not known where they are."""
        axis = self.axes.get(value)
        return None if axis is None else self.record.shape(value)[axis]

    def _axis(self, op: Op, value: int, flow: Flow) -> int | None:
        rank = len(self.record.shape(value))
        if op.name in _FIRST:
            return 1 if rank > 1 else None
        if op.name in _LAST:
            return rank - 1
        sources = [v for v in flow.dependent(op) if v in self.axes]
        if not sources:
            return None
        source = sources[0]
        if op.name in _SHAPING:
            return _reshaped(self.record.shape(source), self.axes[source], self.record.shape(value))
        order = _order(op, len(self.record.shape(source)))
        if order is not None:
            return order.index(self.axes[source])
        return self._kept(sources, value, joins=op.name in _JOINING)

    def _kept(self, sources: list[int], value: int, *, joins: bool) -> int | None:
        """Returns the channels' dimension of a function that keeps rank and channels.

        Args:
            sources: Values that the function takes.
            value: Value that it makes.
            joins: Whether it may join or cut the channels.
        """
        shape = self.record.shape(value)
        for source in sources:
            axis, before = self.axes[source], self.record.shape(source)
            if len(before) != len(shape):
                continue
            others = [i for i in range(len(shape)) if i != axis and before[i] != shape[i]]
            if before[axis] == shape[axis] or (joins and not others):
                return axis
        return None


def _reshaped(before: tuple[int, ...], axis: int, after: tuple[int, ...]) -> int | None:
    """Follows a dimension through a reshape that leaves it whole."""
    ahead = math.prod(before[:axis])
    for index, size in enumerate(after):
        if size == before[axis] and math.prod(after[:index]) == ahead:
            return index
    return None


def _order(op: Op, rank: int) -> list[int] | None:
    """Returns the old dimension at each new place, of a function that moves dimensions."""
    args, _ = op.args
    rest: Any = args[1:]
    if op.name == 'permute':
        dims = rest[0] if rest and isinstance(rest[0], (tuple, list)) else rest
        return [int(dim) % rank for dim in dims]
    if op.name in ('transpose', 'swapaxes'):
        order = list(range(rank))
        first, second = (int(dim) % rank for dim in rest[:2])
        order[first], order[second] = order[second], order[first]
        return order
    return None
