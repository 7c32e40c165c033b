"""KaSA: low-rank updates in the form of a singular value decomposition, on truncated weights.

r rank, n slices of the output channels, s = alpha / r; B diag(d) A the update, U S V the smallest r
singular components of a frozen weight W.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Names, NotNegative, Positive, Probability
from rein_seg.peft.choose import Rows, check_components, check_dense, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import ALL_LINEARS, OperationMethod
from rein_seg.peft.parts.low_rank import (
    LowRankPair,
    Op,
    apply_down,
    apply_pair,
    apply_up,
    per_channel,
)
from rein_seg.peft.parts.spectrum import split_rows
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


class KaSALayer(LowRankPair):
    """Adds s B (d * A x) - U S V x to the output of one linear or convolution.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`, with its final weights.
        rows: Slices (start, stop) of the output channels, each with its own update.
        rank: r of each update, and number of components that are removed.
        scaling: s.
        dropout: Probability for the input of A, in training.

    Shapes:
        lora_diag: d, (n, r), standard normal at the start; lora_A, lora_B: see `LowRankPair`.
    """

    minor_A: Tensor
    minor_B: Tensor

    def __init__(self, op: Op, rows: Rows, *, rank: int, scaling: float, dropout: float) -> None:
        super().__init__(op, rows, rank=rank)
        self.scaling = scaling
        self.dropout = nn.Dropout(dropout)
        self.lora_diag = nn.Parameter(op.weight.new_empty(len(rows), rank).normal_())
        # not saved: every machine computes U S V again from the pretrained weight
        down, up = split_rows(op.weight.detach(), rows, rank)
        self.register_buffer('minor_A', down, persistent=False)
        self.register_buffer('minor_B', up, persistent=False)

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` without the removed components of W x, with the update added."""
        inner = apply_down(self.dropout(x), self.lora_A, self.conv)
        inner = inner * per_channel(self.lora_diag.flatten(), self.conv).to(inner.dtype)
        update = apply_up(inner, self.up(self.lora_B), self.conv)
        # without dropout: the removed components belong to the weight, not to the update
        removed = apply_pair(x, self.minor_A, self.up(self.minor_B), self.conv)
        return y + self.scaling * update - removed

    def merge(self, site: OpSite) -> None:
        """Adds s B diag(d) A - U S V to the weight."""
        up = self.up(self.lora_B) * self.lora_diag.flatten()
        site.module.weight += self.scaling * torch.tensordot(up, self.lora_A, dims=1)
        site.module.weight -= torch.tensordot(self.up(self.minor_B), self.minor_A, dims=1)

    def penalties(self, beta: float, gamma: float) -> list[Tensor]:
        """Returns beta |d|^2 + gamma (|B'B - I| + |AA' - I|) of each slice, Frobenius norms."""
        ups = self.lora_B.split([stop - start for start, stop in self.rows])
        downs = self.lora_A.flatten(1).split(self.rank)
        eye = torch.eye(self.rank, dtype=self.lora_A.dtype, device=self.lora_A.device)
        return [
            beta * d.square().sum()
            + gamma * ((up.mT @ up - eye).norm() + (down @ down.mT - eye).norm())
            for d, up, down in zip(self.lora_diag, ups, downs, strict=True)
        ]


@PEFT_METHODS.register_module()
class KaSA(OperationMethod):
    """Removes the smallest singular components of weights, adds B diag(d) A with trained d.

    W x -> (W - U S V) x + s B diag(d) A x. Two losses keep d small and B, A near orthogonal, so
    that the update has the form of a singular value decomposition.

    Args:
        targets: Operations by role (proj, fc1, fc2, ...) or by the name of one part of a fused
            operation (q, k, v; gate, value), which is then decomposed on its own. None takes q and
            v; all linears and, in ResNets, conv1 to conv3 where the encoder has no attention.
        rank: r.
        alpha: s = alpha / r.
        dropout: Probability for the input of A, in training.
        beta: Factor of the loss on d.
        gamma: Factor of the loss on B and A.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are changed like all others.

    Raises:
        UserError: If a weight has fewer components than rank, the encoder lacks a target, or it is
            a grouped convolution.

    Source: Wang et al., ICLR 2025 (arXiv 2412.06071), Sec. 3 (language models). The start of d and
    the mean of the losses over the updates are its code's. Differs from it: nothing; from its code:
    |B'B - I| and |AA' - I| of r x r matrices, as the paper says (there: of BB' and A'A).

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='KaSA', rank=4, blocks=[0, 1]))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        6160
        >>> list(backbone.peft.aux_losses())
        ['loss_kasa']
    """

    exact_at_start = False
    default_targets = (('q', 'v'), ALL_LINEARS)
    no_weight_decay = ('lora_diag',)

    def __init__(
        self,
        targets: Names | None = None,
        *,
        rank: Count = 8,
        alpha: Positive = 16,
        dropout: Probability = 0.0,
        beta: NotNegative = 1e-4,
        gamma: NotNegative = 1e-3,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(targets, blocks)
        self.beta, self.gamma = beta, gamma
        self._options: dict[str, Any] = dict(rank=rank, scaling=alpha / rank, dropout=dropout)

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `KaSALayer`."""
        check_dense(site, 'KaSA')
        check_components(site, 'KaSA', self._options['rank'])
        return KaSALayer(site.module, rows_of(site), **self._options)

    def aux_losses(self) -> dict[str, Tensor]:
        """Returns the mean loss of the current updates; it does not depend on the images."""
        losses: list[Tensor] = []
        for site, layer in self.site_layers():
            with torch.autocast(device_type=site.module.weight.device.type, enabled=False):
                losses += layer.penalties(self.beta, self.gamma)
        return {'loss_kasa': torch.stack(losses).mean()}
