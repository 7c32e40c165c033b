"""AdaptFormer: a bottleneck parallel to the feed-forward branch.

C channels, d hidden, s scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Probability
from rein_seg.peft.context import Context
from rein_seg.peft.layered import LayerMethod
from rein_seg.peft.parts.bottleneck import Bottleneck
from rein_seg.peft.parts.branches import branch_sizes, residual_branches
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, BranchSite


class AdaptFormerLayer(nn.Module):
    """Computes s (W_up relu(W_down x + b) + b_up), with an optional norm.

    Args:
        inputs: C.
        outputs: C of the result; another width only beside a convolution that changes it.
        hidden: d.
        scale: s.
        learn_scale: Whether s trains.
        norm: ``none``, ``in`` (of x) or ``out`` (of the scaled result).
        dropout: Probability for the hidden activations, in training.
        stride: See `Bottleneck`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int,
        *,
        scale: float,
        learn_scale: bool,
        norm: str,
        dropout: float,
        stride: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([scale])) if learn_scale else scale
        self.norm_in = nn.LayerNorm(inputs) if norm == 'in' else nn.Identity()
        self.mlp = Bottleneck(
            inputs,
            hidden,
            outputs,
            act='relu',
            dropout=dropout,
            stride=stride,
        )
        self.norm_out = nn.LayerNorm(outputs) if norm == 'out' else nn.Identity()
        nn.init.kaiming_uniform_(self.mlp.down.weight, a=math.sqrt(5))
        # a zero W_up makes the start exactly the frozen encoder
        for zero in (self.mlp.down.bias, self.mlp.up.weight, self.mlp.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the update of the branch's result."""
        x = self.norm_in(context.channels_last(x))
        y = self.norm_out(self.mlp.on_channels(x) * self.scale)
        return context.from_channels_last(y)


@PEFT_METHODS.register_module()
class AdaptFormer(LayerMethod):
    """Adds a bottleneck parallel to norm2 and feed-forward: x + FFN(norm2(x)) + s A(x).

    x is the stream after the attention, before the norm. Convolutional encoders have it beside the
    pointwise convolutions of a block, or beside its spatial convolution where the block has none.

    Args:
        hidden_dims: d.
        scale: s; its start where it trains.
        learn_scale: Whether s trains.
        form: ``parallel``, or ``sequential``: f + s A(f) with the branch's result f.
        norm: ``none``, ``in`` (norms A's input) or ``out`` (norms its result, after the scale).
        dropout: Probability for the hidden activations, in training.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        BRANCH(block, ffn): (..., C) -> the same; prefix tokens are treated like all others.

    Source: Chen et al., NeurIPS 2022, Sec. 3.2. Differs from it, as the official code does: the
    bottleneck stays outside stochastic depth. With LayerScale it is added after the scale.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='AdaptFormer', hidden_dims=8))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        26176
    """

    why_not_mergeable = 'its bottleneck has an activation in between'
    no_weight_decay = ('scale',)

    def __init__(
        self,
        hidden_dims: Count = 64,
        *,
        scale: float = 0.1,
        learn_scale: bool = False,
        form: Literal['parallel', 'sequential'] = 'parallel',
        norm: Literal['none', 'in', 'out'] = 'none',
        dropout: Probability = 0.1,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(blocks)
        self.hidden_dims, self.parallel = hidden_dims, form == 'parallel'
        self._layer: dict[str, Any] = dict(
            scale=float(scale), learn_scale=learn_scale, norm=norm, dropout=dropout
        )

    def find_sites(self, anatomy: Anatomy) -> Sequence[BranchSite]:
        """Returns the feed-forward branches."""
        return residual_branches(anatomy, ['ffn'], blocks=self.blocks)

    def make_layer(self, site: BranchSite) -> nn.Module:
        """Returns the bottleneck of one branch."""
        inputs, outputs, stride = branch_sizes(site, parallel=self.parallel)
        return AdaptFormerLayer(inputs, outputs, self.hidden_dims, stride=stride, **self._layer)

    def hook_options(self, site: BranchSite) -> dict[str, Any]:
        """Returns where the bottleneck reads."""
        return dict(source='entry_raw' if self.parallel else 'exit')
