"""SoMA: low-rank updates that start as the smallest singular components of the weights.

r rank, s = alpha / r; W = U S V the singular value decomposition of a frozen weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Names, Positive
from rein_seg.peft.choose import Rows, check_components, check_dense, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import OperationMethod
from rein_seg.peft.parts.low_rank import (
    LowRankPair,
    Op,
    apply_pair,
    gather_rows,
    per_channel,
    scatter_rows,
)
from rein_seg.peft.parts.spectrum import Components, split_rows
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, OpSite


class SoMALayer(LowRankPair):
    """Changes W x + b into (W - s B0 A0) x + s B A x + b', with A0 and B0 the start of A and B.

    The weight itself is not changed: the layer adds the difference of the two products, exactly
    zero at the start.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`, with its final weights.
        rows: Slices (start, stop) of the output channels, each split on its own.
        rank: r of each slice.
        scaling: s.
        components: See `split`.
        train_bias: Whether b' trains, too, where the operation has a bias.
        random_start: Takes A and B from a random weight and subtracts nothing.

    Shapes:
        lora_A, lora_B: see `LowRankPair`; bias: (sum of slice widths,).
    """

    start_A: Tensor | None
    start_B: Tensor | None

    def __init__(
        self,
        op: Op,
        rows: Rows,
        *,
        rank: int,
        scaling: float,
        components: Components,
        train_bias: bool,
        random_start: bool,
    ) -> None:
        super().__init__(op, rows, rank=rank)
        self.scaling = scaling
        source = torch.randn_like(op.weight) * 0.02 if random_start else op.weight
        down, up = split_rows(source, self.rows, rank, scaling=scaling, components=components)
        with torch.no_grad():
            self.lora_A.copy_(down)
            self.lora_B.copy_(up)
        starts = (None, None) if random_start else (self.lora_A, self.lora_B)
        for name, start in zip(('start_A', 'start_B'), starts, strict=True):
            # not saved: every machine computes the start again from the pretrained weight
            copy = None if start is None else start.detach().clone()
            self.register_buffer(name, copy, persistent=False)
        self.bias: nn.Parameter | None = None
        if train_bias and op.bias is not None:
            self.bias = nn.Parameter(gather_rows(op.bias.detach(), self.rows))

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns the new output of an operation that computed ``y`` from ``x``."""
        assert isinstance(context.site, OpSite)
        change = self.update(x)
        if self.start_A is not None and self.start_B is not None:
            # a difference of equal products is exactly zero; a fused form might round it away
            change = change - apply_pair(x, self.start_A, self.up(self.start_B), self.conv)
        y = y + self.scaling * change
        shift = self.bias_change(context.site.module)
        return y if shift is None else y + per_channel(shift, self.conv).to(y.dtype)

    def bias_change(self, op: Op) -> Tensor | None:
        """Returns (out,) b' - b, zero outside the slices, or None where no bias trains."""
        if self.bias is None or op.bias is None:
            return None
        return scatter_rows(
            self.bias - gather_rows(op.bias, self.rows), self.rows, self.out_features
        )

    def change(self) -> Tensor:
        """Returns s (B A - B0 A0) in the shape of the weight, zero outside the slices."""
        change = self.product()
        if self.start_A is not None and self.start_B is not None:
            change = change - torch.tensordot(self.up(self.start_B), self.start_A, dims=1)
        return self.scaling * change

    def merge(self, site: OpSite) -> None:
        """Adds the change to weight and bias."""
        op = site.module
        op.weight += self.change()
        shift = self.bias_change(op)
        if shift is not None and op.bias is not None:
            op.bias += shift


@PEFT_METHODS.register_module()
class SoMA(OperationMethod):
    """Trains the smallest singular components of chosen weights: W x -> (W - s B0 A0 + s B A) x.

    A, B and the biases are saved. B0 A0, their start, is computed again from the pretrained
    weights, in float64: it is unique unless the singular values at the cut are equal.

    Args:
        targets: Operations by role (proj, fc1, fc2, ...) or by the name of one part of a fused
            operation (q, k, v; gate, value), which is then split on its own. None takes q, k, v,
            proj, fc1 to fc3 and, in ResNets, conv1 to conv3, as far as the encoder has them.
        rank: r.
        alpha: s = alpha / r.
        blocks: Block indexes, negative indexes count from the end; None leaves out the first third
            of the blocks (8 of 24).
        components: ``minor``, or ``principal``: the largest, as in PiSSA.
        train_bias: Trains the biases of these operations, too.
        random_start: Takes A and B from the minor components of a random weight (normal, 0.02)
            and adds them to the whole pretrained weight, as the official code does, which splits
            before the checkpoint is loaded. The start is then not the frozen encoder.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are changed like all others.

    Raises:
        UserError: If a weight has fewer components than rank, the encoder lacks a target, or it is
            a grouped convolution.

    Source: Yun et al., CVPR 2025, Sec. 3 (SoRA in its code). Its weight decay falls along a cosine
    from 0.05 to 1e-5: see configs/soma_dinov2_gtav.py. Differs from it: nothing; from its code:
    the split follows the loading, and DINOv2's mask token, which nothing uses, does not train.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='SoMA', rank=4, blocks=[-1]))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        15552
    """

    def __init__(
        self,
        targets: Names | None = None,
        *,
        rank: Count = 16,
        alpha: Positive = 16,
        blocks: Sequence[int] | None = None,
        components: Components = 'minor',
        train_bias: bool = True,
        random_start: bool = False,
    ) -> None:
        super().__init__(targets, blocks)
        self.exact_at_start = not random_start
        self.rank, self.scaling, self.components = rank, alpha / rank, components
        self.train_bias, self.random_start = train_bias, random_start
        self.reads_operations = train_bias

    def chosen_blocks(self, anatomy: Anatomy) -> Sequence[int] | None:
        """Returns the blocks to take operations from."""
        if self.blocks is not None:
            return self.blocks
        return range(anatomy.num_blocks // 3, anatomy.num_blocks)

    def owned_parameters(self, anatomy: Anatomy) -> set[str]:
        """Returns the names of the biases that stand in for the encoder's."""
        if not self.train_bias:
            return set()
        return {f'{site.name}.bias' for site in self.find_sites(anatomy)}

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `SoMALayer`."""
        check_dense(site, 'SoMA')
        check_components(site, 'SoMA', self.rank)
        return SoMALayer(
            site.module,
            rows_of(site),
            rank=self.rank,
            scaling=self.scaling,
            components=self.components,
            train_bias=self.train_bias,
            random_start=self.random_start,
        )
