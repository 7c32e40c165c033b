"""SVF: only the singular values of the weights train.

R components of a weight W = U diag(S) V, d the trained change of S.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Names
from rein_seg.peft.choose import Rows, check_dense, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import OperationMethod
from rein_seg.peft.parts.low_rank import (
    Op,
    apply_down,
    apply_up,
    block_diagonal,
    conv_options,
    per_channel,
)
from rein_seg.peft.parts.spectrum import decompose, rounding
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


class SVFLayer(nn.Module):
    """Adds U (d * V x) to the output of one linear or convolution.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`, with its final weights.
        rows: Slices (start, stop) of the output channels, each decomposed on its own.
        rank_multiple: Keeps only as many components as the largest multiple of this (at least
            one); the others are subtracted from the output.

    Shapes:
        delta: (n, components of one of n slices), zero at the start. left: (out, components) and
        right: (components, in) or (components, in, k, k), of all slices, are not saved.
    """

    left: Tensor
    right: Tensor
    removed: Tensor

    def __init__(self, op: Op, rows: Rows, *, rank_multiple: int) -> None:
        super().__init__()
        self.conv = conv_options(op)
        weight, parts = op.weight, [decompose(op.weight[start:stop]) for start, stop in rows]
        values = torch.stack([part[1] for part in parts])  # (n, components of a slice)
        rank = max(values.shape[1] // rank_multiple * rank_multiple, 1)
        # zero columns of U: components of a zero singular value never change the output
        up = torch.cat([left * _trainable(left, s, right) for left, s, right in parts])
        up = block_diagonal(up, tuple(rows), weight.shape[0])  # (out, components of all slices)
        down = torch.cat([right for _, _, right in parts]).view(-1, *weight.shape[1:])
        self.register_buffer('left', up.to(weight), persistent=False)
        self.register_buffer('right', down.to(weight), persistent=False)
        self.register_buffer('removed', -values[:, rank:].to(weight), persistent=False)
        self.delta = nn.Parameter(weight.new_zeros(len(parts), rank))

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` with the change of ``x`` added."""
        inner = apply_down(x, self.right, self.conv)
        inner = inner * per_channel(self.change(), self.conv).to(inner.dtype)
        return y + apply_up(inner, self.left, self.conv)

    def change(self) -> Tensor:
        """Returns (components,) the change of S: d, and -S of components left out."""
        return torch.cat((self.delta, self.removed), dim=1).flatten()

    def merge(self, site: OpSite) -> None:
        """Adds U diag(d) V to the weight."""
        site.module.weight += torch.tensordot(self.left * self.change(), self.right, dims=1)


@PEFT_METHODS.register_module()
class SVF(OperationMethod):
    """Trains the singular values of chosen weights: W = U diag(S) V -> U diag(S + d) V.

    The weights stay unchanged and U (d * V x) is added: the same function as the product of three
    layers. U and V are computed again from the pretrained weights, in float64, and take twice the
    memory of a square weight. Components whose singular value is zero do not train.

    Args:
        targets: Operations by role (qkv, proj, fc1, fc2, ...), or names of parts of a fused
            operation (q, k, v), which are then decomposed on their own. None takes qkv, proj, fc1,
            fc2 and, in ResNets, conv1 to conv3 and downsample, as far as the encoder has them.
        blocks: Block indexes; None takes all, negative indexes count from the end. The paper leaves
            out the first stage of a ResNet.
        rank_multiple: Rounds the rank down to a multiple of this. The official code uses 4, which
            changes a weight whose full rank is no multiple of 4 before training.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are changed like all others.

    Raises:
        UserError: If the encoder lacks a target, or it is a grouped convolution.

    Source: Sun et al., NeurIPS 2022, Sec. 3. Differs from it: nothing; from its code: full rank,
    and linears are decomposed (there they end up random).

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='SVF', blocks=[0]))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        768
    """

    default_targets = (
        ('qkv', 'proj', 'fc1', 'fc2', 'conv1', 'conv2', 'conv3', 'pw1', 'pw2', 'downsample'),
    )
    no_weight_decay = ('delta',)

    def __init__(
        self,
        targets: Names | None = None,
        *,
        blocks: Sequence[int] | None = None,
        rank_multiple: Count = 1,
    ) -> None:
        super().__init__(targets, blocks)
        self.rank_multiple = rank_multiple
        self.exact_at_start = rank_multiple == 1

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns an `SVFLayer`."""
        check_dense(site, 'SVF')
        return SVFLayer(site.module, rows_of(site), rank_multiple=self.rank_multiple)


def _trainable(left: Tensor, values: Tensor, right: Tensor) -> Tensor:
    """Returns (R,) booleans: False for zeros, as dead filters have; their vectors are arbitrary."""
    return values > rounding(values, max(left.shape[0], right.shape[1]))
