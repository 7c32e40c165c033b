"""DoRA: low-rank updates of directions, and a learned length for every output unit.

r rank, s = alpha / r, n row-wise L2 norm of W + s B A, m learned magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Names, Positive, Probability
from rein_seg.peft.choose import Rows, check_dense, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import ALL_LINEARS, OperationMethod
from rein_seg.peft.parts.low_rank import (
    LowRankPair,
    Op,
    apply_down,
    gather_rows,
    per_channel,
    scaling_of,
    scatter_rows,
)
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


class DoRALayer(LowRankPair):
    """Changes W x + b into (m / n) (W + s B A) x + b for some slices of the output channels.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`, with its final weights.
        rows: Slices (start, stop) of the output channels, each with its own update.
        rank: r of each update.
        scaling: s.
        dropout: Probability for x in everything that training adds to W x + b.

    Shapes:
        magnitude: (sum of slice widths,); lora_A, lora_B: see `LowRankPair`.
    """

    def __init__(self, op: Op, rows: Rows, *, rank: int, scaling: float, dropout: float) -> None:
        super().__init__(op, rows, rank=rank)
        self.scaling = scaling
        self.dropout = nn.Dropout(dropout)
        self.magnitude = nn.Parameter(gather_rows(self.norm(op.weight), self.rows))

    @torch.no_grad()  # the length counts as a constant in the backward pass: Sec. 4.3
    def norm(self, weight: Tensor) -> Tensor:
        """Returns (out,) n."""
        whole = weight + self.scaling * self.product()
        return torch.linalg.vector_norm(whole.flatten(1), dim=1)

    def ratio(self, weight: Tensor) -> Tensor:
        """Returns (out,) m / n in the precision of the weights, 1 outside the slices."""
        with torch.autocast(device_type=weight.device.type, enabled=False):
            ratio = self.magnitude / gather_rows(self.norm(weight), self.rows)
        return scatter_rows(ratio, self.rows, self.out_features, fill=1.0)

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns the new output of an operation that computed ``y`` from ``x``."""
        assert isinstance(context.site, OpSite)
        op = context.site.module
        ratio = per_channel(self.ratio(op.weight), self.conv)
        if self.training and self.dropout.p:  # dropout also acts on W x, so W x is computed again
            x = self.dropout(x)
            plain = apply_down(x, op.weight, self.conv)
        else:
            plain = y if op.bias is None else y - per_channel(op.bias, self.conv).to(y.dtype)
        # y plus a change, not ratio * plain: where the ratio is 1, y passes bit for bit
        change = (ratio - 1).to(y.dtype) * plain
        return y + change + (self.scaling * ratio).to(y.dtype) * self.update(x)

    def merge(self, site: OpSite) -> None:
        """Replaces W by (m / n) (W + s B A)."""
        weight = site.module.weight
        ratio = self.ratio(weight).view(-1, *[1] * (weight.dim() - 1))
        weight.copy_(ratio * (weight + self.scaling * self.product()))


@PEFT_METHODS.register_module()
class DoRA(OperationMethod):
    """Updates directions by low rank and lengths separately: W' = m (W + s B A) / |W + s B A|.

    Args:
        targets: Operations by role (proj, fc1, fc2, ...) or by the name of one part of a fused
            operation (q, k, v; gate, value). None takes q and v; all linears and, in ResNets,
            conv1 to conv3 where the encoder has no attention.
        rank: r.
        alpha: s = alpha / r.
        dropout: Probability for x in everything that training adds to W x + b.
        blocks: Block indexes; None takes all, negative indexes count from the end.
        rank_stabilized: Takes s = alpha / sqrt(r).

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are changed like all others.

    Raises:
        UserError: If the encoder lacks a target, or it is a grouped convolution.

    Source: Liu et al., ICML 2024, Sec. 4; the norm is a constant in the backward pass, as there
    (Sec. 4.3). Dropout as in the peft library. Differs from it: none.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='DoRA', rank=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        27648
        >>> backbone.peft.layers['layers_0_attn_qkv'].magnitude.shape  # of q and v
        torch.Size([384])
    """

    reads_operations = True
    default_targets = (('q', 'v'), ALL_LINEARS)
    no_weight_decay = ('magnitude',)

    def __init__(
        self,
        targets: Names | None = None,
        *,
        rank: Count = 8,
        alpha: Positive = 8,
        dropout: Probability = 0.0,
        blocks: Sequence[int] | None = None,
        rank_stabilized: bool = False,
    ) -> None:
        super().__init__(targets, blocks)
        self._options: dict[str, Any] = dict(
            rank=rank, scaling=scaling_of(alpha, rank, rank_stabilized), dropout=dropout
        )

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `DoRALayer`."""
        check_dense(site, 'DoRA')
        return DoRALayer(site.module, rows_of(site), **self._options)
