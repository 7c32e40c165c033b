"""Counts the floating point operations of a step, by part, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from rein_seg.bench.speed.parts import PartTrack, tracked

Counts = dict[str, dict[str, int]]


def count_flops(step: Callable[[], Any], model: nn.Module, optim_wrapper: Any = None) -> Counts:
    """Counts matrix products, convolutions, attention and bilinear samples of one step.

    A multiplication with its addition counts two. Attention that computes its scores again in the
    backward pass, and blocks under activation checkpointing, count as often as they run. Norms,
    activations, resizes and the optimizer do not count.

    Args:
        step: Function that runs the step.
        model: `PEFTSegmentor` that it runs.
        optim_wrapper: Of the model, in training.

    Returns:
        FLOPs by part, ``forward`` and ``backward``.
    """
    counter = FlopCounterMode(display=False, custom_mapping=FURTHER)
    with tracked(model, optim_wrapper) as track, counter, _ByPart(counter, track) as by_part:
        step()
    return by_part.counts


class _ByPart(TorchDispatchMode):
    """Assigns the FLOPs of each operation to the part that runs it."""

    def __init__(self, counter: FlopCounterMode, track: PartTrack) -> None:
        super().__init__()
        self.counts: Counts = {}
        self._counter, self._track, self._before = counter, track, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        total = self._counter.get_total_flops()
        if total > self._before:
            counts = self.counts.setdefault(self._track.current, {'forward': 0, 'backward': 0})
            backward = torch._C._current_autograd_node() is not None
            counts['backward' if backward else 'forward'] += total - self._before
        self._before = total
        return out


def _gathered(table: Sequence[int], index: Sequence[int], *args: Any, **kwargs: Any) -> int:
    """Counts a weighted sum of rows (R, d) at K indexes: d products and sums for each."""
    return 2 * math.prod(index) * table[-1]


def _weights_of_gathered(
    grad: Sequence[int], table: Sequence[int], index: Sequence[int], *args: Any, **kwargs: Any
) -> int:
    return 2 * math.prod(index) * table[-1]


def _sampled_products(pattern: Any, grad: Any, table: Any, *args: Any, **kwargs: Any) -> int:
    """Counts products of rows (I, d) with the rows of a table that a sparse pattern names."""
    return 2 * pattern.values().numel() * grad.shape[-1]


_sampled_products._get_raw = True  # type: ignore[attr-defined]  # tensors, not their shapes


def _sampled(*args: Any, out_shape: Sequence[int], **kwargs: Any) -> int:
    """Counts bilinear samples: four corners each."""
    return 8 * math.prod(out_shape)


def _sampled_back(grad: Sequence[int], *args: Any, **kwargs: Any) -> int:
    """Counts their backward pass: each corner's value, and the two directions of its place."""
    return 24 * math.prod(grad)


def _attention(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *args: Any, **kwargs: Any
) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_back(grad: Sequence[int], *args: Any, **kwargs: Any) -> int:
    return sdpa_backward_flop_count(grad, *args[:3])


FURTHER = {
    # PyTorch's counter knows a CPU's attention from 2.15 on
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_back,
    torch.ops.aten._embedding_bag: _gathered,
    torch.ops.aten._embedding_bag_forward_only: _gathered,
    torch.ops.aten._embedding_bag_per_sample_weights_backward: _weights_of_gathered,
    torch.ops.aten.sparse_sampled_addmm: _sampled_products,
    torch.ops.aten.grid_sampler_2d: _sampled,
    torch.ops.aten.grid_sampler_2d_backward: _sampled_back,
}
