"""Formulas as they are written, which the fast forms are tested against and measured beside."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.encoders.sam.attention import by_distance
from rein_seg.peft.parts.mixture import Experts, convolve


def attention_with_bias(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    table_h: Tensor,
    table_w: Tensor,
    grid: tuple[int, int],
    *,
    num_prompts: int = 0,
) -> Tensor:
    """Computes what `attend_with_positions` does, with all (B, n, N, N) numbers in memory."""
    height, width = grid
    places = q[:, :, num_prompts:].unflatten(2, grid)
    rows = torch.einsum('bnhwd,hkd->bnhwk', places, by_distance(table_h, height))
    columns = torch.einsum('bnhwd,wkd->bnhwk', places, by_distance(table_w, width))
    bias = (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)
    bias = F.pad(bias, (num_prompts, 0, num_prompts, 0))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
    return scores.softmax(-1) @ v


def dense_mixture(experts: Experts, d: Tensor, chosen: Tensor, gates: Tensor | None) -> Tensor:
    """Computes what `Experts` does: every expert on every row, times zero or its gate."""
    each = [
        convolve(d, weight, bias, scale=scale, mode=experts.mode)
        for weight, bias, scale in zip(experts.weight, experts.bias, experts.scales, strict=True)
    ]
    if gates is None:
        gates = d.new_zeros(len(d), len(each)).scatter(1, chosen, 1.0)
    return torch.einsum('nbrhw,bn->brhw', torch.stack(each), gates)
