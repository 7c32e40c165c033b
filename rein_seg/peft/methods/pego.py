"""PEGO: groups of low-rank updates, kept orthogonal to the weight and to each other.

r rank, g updates in a group, W (c, in) the frozen weight of one part, B_i A_i its i-th update.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rein_seg.peft.arguments import Count, Names, NotNegative
from rein_seg.peft.choose import Rows, check_dense, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import ALL_LINEARS, OperationMethod
from rein_seg.peft.parts.low_rank import LowRankPair, Op
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


def overlap(weight: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Computes sum_i |W (B_i A_i)'|_1 + sum_{i<j} |(B_i A_i)(B_j A_j)'|_1, |.|_1 entrywise.

    Args:
        weight: (c, in) W.
        down: (g, r, in) A_i.
        up: (g, c, r) B_i.

    Returns:
        Scalar.
    """
    with_weight = (weight @ down.mT) @ up.mT  # (g, c, c)
    first, second = torch.triu_indices(len(down), len(down), offset=1, device=down.device)
    between = up[first] @ (down[first] @ down[second].mT) @ up[second].mT  # (pairs, c, c)
    return with_weight.abs().sum() + between.abs().sum()


class PEGOLayer(LowRankPair):
    """Adds sum_i B_i A_i x to the output of one linear or convolution.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`.
        rows: Slices (start, stop) of the output channels, each with its own group.
        rank: r.
        groups: g.

    Shapes:
        lora_A, lora_B: as in a `LowRankPair` of rank g r, update after update.
    """

    def __init__(self, op: Op, rows: Rows, *, rank: int, groups: int) -> None:
        super().__init__(op, rows, rank=groups * rank)
        self.groups = groups

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` with the updates of ``x`` added."""
        return y + self.update(x)

    def overlap(self, weight: Tensor, reference_width: int | None) -> Tensor:
        """Returns the sum over the slices of `overlap`, times (reference_width / c)^2 if given."""
        total = weight.new_zeros(())
        downs = self.lora_A.flatten(1).split(self.rank)  # (g r, in) of each slice
        ups = self.lora_B.split([stop - start for start, stop in self.rows])
        for (start, stop), down, up in zip(self.rows, downs, ups, strict=True):
            each = down.unflatten(0, (self.groups, -1)), up.unflatten(1, (self.groups, -1))
            part = overlap(weight[start:stop].flatten(1), each[0], each[1].transpose(0, 1))
            scale = 1.0 if reference_width is None else (reference_width / (stop - start)) ** 2
            total = total + scale * part
        return total

    def merge(self, site: OpSite) -> None:
        """Adds the updates to the weight."""
        site.module.weight += self.product()


@PEFT_METHODS.register_module()
class PEGO(OperationMethod):
    """Adds groups of low-rank updates, y = W x + b + sum_i B_i A_i x, that a loss keeps orthogonal.

    Args:
        targets: Operations by role (proj, fc1, fc2, ...) or by the name of one part of a fused
            operation (q, k, v; gate, value). None takes q and v; all linears and, in ResNets,
            conv1 to conv3 where the encoder has no attention.
        rank: r.
        groups: g.
        loss_weight: Factor of the loss, the sum of `overlap` over all layers and parts.
        reference_width: The loss of a part with c output channels is scaled by
            (reference_width / c)^2, so that it weighs the same in every encoder and as published
            at this width. None gives the plain sum of the official code.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are updated like all others.

    Raises:
        UserError: If the encoder lacks a target, or it is a grouped convolution.

    Source: Hu et al., ECCV 2024, Sec. 3 (classification, CLIP ViT-B/16: width 768). Differs from
    it: the loss is scaled by width.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='PEGO', rank=2, groups=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        49152
        >>> {name: tuple(loss.shape) for name, loss in backbone.peft.aux_losses().items()}
        {'loss_orthogonal': ()}
    """

    default_targets = (('q', 'v'), ALL_LINEARS)

    def __init__(
        self,
        targets: Names | None = None,
        *,
        rank: Count = 4,
        groups: Count = 4,
        loss_weight: NotNegative = 1e-3,
        reference_width: Count | None = 768,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(targets, blocks)
        self.rank, self.groups = rank, groups
        self.loss_weight, self.reference_width = loss_weight, reference_width

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `PEGOLayer`."""
        check_dense(site, 'PEGO')
        return PEGOLayer(site.module, rows_of(site), rank=self.rank, groups=self.groups)

    def aux_losses(self) -> dict[str, Tensor]:
        """Returns the loss of the current updates; it does not depend on the images."""
        total: Tensor | float = 0.0
        for site, layer in self.site_layers():
            weight = site.module.weight
            with torch.autocast(device_type=weight.device.type, enabled=False):
                # computed again in the backward pass: stored (c, c) products would take gigabytes
                total = total + checkpoint(
                    layer.overlap, weight, self.reference_width, use_reentrant=False
                )
        return {'loss_orthogonal': self.loss_weight * torch.as_tensor(total)}
