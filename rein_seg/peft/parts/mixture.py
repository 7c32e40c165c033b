"""A mixture of convolutions at several scales, chosen by a gate.

B batch rows (images or windows), H x W grid, r channels, n experts, k experts chosen for a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.fast.dispatch import has_fast_form


def convolve(d: Tensor, weight: Tensor, bias: Tensor, *, scale: int, mode: str) -> Tensor:
    """Computes one expert: E(d) = down(GELU(conv3x3(up(d)) + b)).

    Args:
        d: (B, r, H, W).
        weight: (r, r, 3, 3).
        bias: (r,).
        scale: Factor of the resize before the convolution, undone after it; 1 resizes nothing.
        mode: Interpolation of both resizes (align_corners False).

    Returns:
        (B, r, H, W).
    """
    size = d.shape[-2:]
    if scale != 1:
        d = F.interpolate(d, scale_factor=scale, mode=mode, align_corners=False)
    out = F.gelu(F.conv2d(d, weight, bias, padding=1))
    return out if scale == 1 else F.interpolate(out, size=size, mode=mode, align_corners=False)


def balance(importance: Tensor, load: Tensor) -> Tensor:
    """Computes CV2(importance) + CV2(load) with CV2(v) = var(v) / (mean(v)^2 + 1e-10).

    Args:
        importance: (n,) sum over the rows of each expert's gates.
        load: (n,) number of rows each expert gets, soft or hard.

    Returns:
        Scalar, at least 0; 0 for one expert. The variance is the unbiased one.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.mixture import balance
        >>> even, uneven = torch.tensor([2.0, 2.0]), torch.tensor([4.0, 0.0])
        >>> balance(even, even), balance(uneven, uneven)
        (tensor(0.), tensor(4.))
    """
    both = torch.stack((importance, load))
    if both.shape[1] == 1:
        return (both * 0).sum()
    return (both.var(1) / (both.mean(1) ** 2 + 1e-10)).sum()


def expected_load(clean: Tensor, noisy: Tensor, sigma: Tensor, top_k: int) -> Tensor:
    """Computes the expected rows of each expert over its own noise, the others' noise fixed.

    The sum over the rows of Phi((clean - t) / sigma), where t is the k-th largest of the other
    experts' noisy logits.

    Args:
        clean: (B, n) logits without noise.
        noisy: (B, n) logits with noise.
        sigma: (B, n) standard deviation of the noise.
        top_k: k < n.

    Returns:
        (n,).
    """
    ranked = noisy.sort(dim=1, descending=True).values
    kth, next_one = ranked[:, top_k - 1 : top_k], ranked[:, top_k : top_k + 1]
    threshold = torch.where(noisy > next_one, next_one, kth)
    return torch.special.ndtr((clean - threshold) / sigma).sum(0)


class Gate(nn.Module):
    """Chooses k experts for each row from its mean over the grid.

    Equal logits go to the expert with the lowest index: in eval mode the untrained gate, which is
    zero, chooses expert 0 for every row.

    Shapes:
        w_gate, w_noise: (r, n), zero at the start. Without noise there is no w_noise.
    """

    def __init__(
        self, rank: int, num_experts: int, *, top_k: int, noisy: bool, noise_eps: float
    ) -> None:
        super().__init__()
        self.top_k, self.noise_eps = top_k, noise_eps
        self.w_gate = nn.Parameter(torch.zeros(rank, num_experts))
        self.w_noise = nn.Parameter(torch.zeros(rank, num_experts)) if noisy else None

    def draw_noise(self, like: Tensor) -> Tensor:
        """Returns standard normal noise in the shape of ``like``."""
        return torch.randn_like(like)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Chooses; in training with noise on the logits.

        Args:
            pooled: (B, r) means over the grid.

        Returns:
            (B, k) int64 chosen experts, best first; (B, n) gates: the softmax over the chosen
            logits, 0 elsewhere; scalar `balance` of the rows over the experts.
        """
        clean = logits = pooled @ self.w_gate.float()
        sigma: Tensor | None = None
        if self.training and self.w_noise is not None:
            sigma = F.softplus(pooled @ self.w_noise.float()) + self.noise_eps
            logits = clean + self.draw_noise(clean) * sigma
        # a stable sort, not topk, which leaves the order of equal logits open
        ranked, order = logits.sort(dim=1, descending=True, stable=True)
        chosen = order[:, : self.top_k]
        values = ranked[:, : self.top_k].softmax(1)
        gates = torch.zeros_like(logits).scatter(1, chosen, values)
        if sigma is not None and self.top_k < logits.shape[1]:
            load = expected_load(clean, logits, sigma, self.top_k)
        else:
            load = (gates > 0).sum(0).to(gates.dtype)
        return chosen, gates, balance(gates.sum(0), load)


class Experts(nn.Module):
    """n convolutions at n scales; each row takes its chosen experts.

    Their parameters are stacked: idle experts get zero gradients instead of none, so data parallel
    training needs no search for unused parameters.

    Shapes:
        weight: (n, r, r, 3, 3); bias: (n, r).
    """

    convolve = staticmethod(convolve)

    def __init__(self, rank: int, scales: Sequence[int], *, mode: str) -> None:
        super().__init__()
        self.scales, self.mode = tuple(scales), mode
        self.weight = nn.Parameter(torch.empty(len(scales), rank, rank, 3, 3))
        self.bias = nn.Parameter(torch.zeros(len(scales), rank))
        bound = 1 / math.sqrt(9 * rank)  # the default of a convolution
        nn.init.uniform_(self.weight, -bound, bound)

    @has_fast_form('chosen_experts')
    def forward(self, d: Tensor, chosen: Tensor, gates: Tensor | None) -> Tensor:
        """Returns the sum of each row's chosen experts, times their gates if given.

        Args:
            d: (B, r, H, W).
            chosen: (B, k) int64.
            gates: (B, n), 0 for the others, or None.
        """
        each = [
            self.convolve(d, weight.to(d.dtype), bias.to(d.dtype), scale=scale, mode=self.mode)
            for weight, bias, scale in zip(self.weight, self.bias, self.scales, strict=True)
        ]
        if gates is None:
            gates = d.new_zeros(len(d), len(each)).scatter(1, chosen, 1.0)
        return torch.einsum('nbrhw,bn->brhw', torch.stack(each), gates.to(d.dtype))
