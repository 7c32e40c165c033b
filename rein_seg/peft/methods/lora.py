"""LoRA: low-rank updates of linears and convolutions.

B batch, C channels, r rank, n slices, k kernel side, s = alpha / r, or alpha / sqrt(r).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count, Names, Positive, Probability
from rein_seg.peft.choose import Rows, check_dense, rows_of
from rein_seg.peft.context import Context
from rein_seg.peft.layered import OperationMethod
from rein_seg.peft.parts.low_rank import LowRankPair, Op, scaling_of
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import OpSite


class LoRALayer(LowRankPair):
    """Adds s B A x to the output of one linear or convolution; see `LowRankPair`.

    Args:
        op: The frozen `nn.Linear` or dense `nn.Conv2d`.
        rows: Slices (start, stop) of the output channels, each with its own update.
        rank: r of each update.
        scaling: s.
        dropout: Probability for the input of A, in training.
    """

    def __init__(
        self, op: Op, rows: Rows, *, rank: int, scaling: float, dropout: float = 0.0
    ) -> None:
        super().__init__(op, rows, rank=rank)
        self.scaling = scaling
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` with the update of ``x`` added."""
        return y + self.scaling * self.update(self.dropout(x))

    def merge(self, site: OpSite) -> None:
        """Adds s B A to the weight."""
        site.module.weight += self.scaling * self.product()


class KernelLoRALayer(nn.Module):
    """Adds a kernel s B A to a convolution, grouped or not: the form that loralib stores.

    Shapes:
        lora_A: (r k, in k); lora_B: (out / groups k, r k). Their product is viewed as the kernel
        (out, in / groups, k, k), so its rank is up to r k.
    """

    def __init__(self, op: nn.Conv2d, *, rank: int, scaling: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.scaling = scaling
        self.dropout = nn.Dropout(dropout)
        self.shape, side = op.weight.shape, op.kernel_size[0]
        self.conv: dict[str, Any] = dict(
            stride=op.stride, padding=op.padding, dilation=op.dilation, groups=op.groups
        )
        new = op.weight.new_zeros
        self.lora_A = nn.Parameter(new(rank * side, op.in_channels * side))
        self.lora_B = nn.Parameter(new(op.out_channels // op.groups * side, rank * side))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor, y: Tensor, context: Context) -> Tensor:
        """Returns ``y`` with the update of ``x`` added."""
        return y + self.scaling * F.conv2d(self.dropout(x), self.product(), **self.conv)

    def product(self) -> Tensor:
        """Returns B A in the shape of the base weight."""
        # loralib's view: a row of the product is not an output channel
        return (self.lora_B @ self.lora_A).view(self.shape)

    def merge(self, site: OpSite) -> None:
        """Adds s B A to the weight."""
        site.module.weight += self.scaling * self.product()


@PEFT_METHODS.register_module()
class LoRA(OperationMethod):
    """Adds trainable low-rank updates to chosen linears: y = W x + b + s B A x.

    Args:
        targets: Operations by role (proj, fc1, fc2, dw, patch, ...) or by the name of one part of a
            fused operation (q, k, v; gate, value). None takes q, k, v, proj, fc1 to fc3 and, in
            ResNets, conv1 to conv3, as far as the encoder has them.
        rank: r.
        alpha: s = alpha / r.
        dropout: Probability for the input of A, in training.
        blocks: Block indexes; None takes all, negative indexes count from the end.
        rank_stabilized: Takes s = alpha / sqrt(r), so that a higher rank does not learn less.
        conv_form: Of convolutions: ``spatial``, A with the base's kernel and B 1x1, as in the peft
            library; ``kernel``, loralib's product viewed as the kernel, which also fits grouped
            convolutions.

    Shapes:
        OP(block, role): (..., in) -> (..., out); prefix tokens are updated like all others.

    Raises:
        UserError: If the encoder lacks a target, or it is a grouped convolution (with conv_form
            ``kernel``: a convolution without a square kernel).

    Source: Hu et al., ICLR 2022, Sec. 4; rank-stabilised: Kalajdzievski, 2023. A fused qkv has one
    update for each part, as in loralib. Differs from it: the form of convolutions, by default.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='LoRA', targets=['q', 'v'], rank=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        24576
        >>> backbone.merge()  # adds the updates to the encoder's weights
        >>> sum(p.numel() for p in backbone.peft.parameters())
        0
    """

    def __init__(
        self,
        targets: Names | None = None,
        *,
        rank: Count = 16,
        alpha: Positive = 16,
        dropout: Probability = 0.0,
        blocks: Sequence[int] | None = None,
        rank_stabilized: bool = False,
        conv_form: Literal['spatial', 'kernel'] = 'spatial',
    ) -> None:
        super().__init__(targets, blocks)
        self.rank, self.conv_form = rank, conv_form
        self._options: dict[str, Any] = dict(
            rank=rank, scaling=scaling_of(alpha, rank, rank_stabilized), dropout=dropout
        )

    def make_layer(self, site: OpSite) -> nn.Module:
        """Returns a `LoRALayer`, or a `KernelLoRALayer` for a convolution in that form."""
        op = site.module
        if self.conv_form == 'kernel' and isinstance(op, nn.Conv2d):
            if len(set(op.kernel_size)) != 1:
                raise UserError(
                    f'LoRA conv_form="kernel" takes square kernels, {site.name!r} has '
                    f'{tuple(op.kernel_size)}: use conv_form="spatial"'
                )
            return KernelLoRALayer(op, **self._options)
        check_dense(site, 'LoRA')
        return LoRALayer(op, rows_of(site), **self._options)
