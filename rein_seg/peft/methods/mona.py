"""Mona: a bottleneck with depthwise convolutions of three sizes, on the residual stream.

B batch, N patch tokens, P prefix tokens, C channels, d hidden, H x W grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.peft.arguments import Count, Probability
from rein_seg.peft.context import Context
from rein_seg.peft.layered import LayerMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, StreamSite


class ScaleConvs(nn.Module):
    """Computes d + (dw3(d) + dw5(d) + dw7(d)) / 3 =: e, then e + conv1x1(e).

    The three depthwise convolutions are one: their kernels, padded to 7 x 7, are averaged.

    Shapes:
        (B, d, H, W) -> the same.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(hidden, hidden, side, padding=side // 2, groups=hidden) for side in (3, 5, 7)
        )
        self.projector = nn.Conv2d(hidden, hidden, 1)

    def forward(self, d: Tensor) -> Tensor:
        """Returns the mixed map."""
        convs = (self.conv1, self.conv2, self.conv3)
        kernels = [F.pad(conv.weight, (3 - conv.kernel_size[0] // 2,) * 4) for conv in convs]
        kernel = torch.stack(kernels).mean(0)
        bias = torch.stack([conv.bias for conv in convs if conv.bias is not None]).mean(0)
        d = d + F.conv2d(d, kernel, bias, padding=3, groups=d.shape[1])
        return d + self.projector(d)


class MonaLayer(nn.Module):
    """Computes W2 gelu(convs(W1 (gamma LN(x) + gammax x))).

    Parameter names are the official ones.

    Args:
        channels: C.
        hidden: d.
        dropout: Probability for the hidden activations, in training.
        prefix: Update of prefix tokens: ``skip`` (none) or ``pointwise`` (the layer without its
            convolutions).
        zero_init: Whether W2 starts at zero.
    """

    def __init__(
        self, channels: int, hidden: int, *, dropout: float, prefix: str, zero_init: bool
    ) -> None:
        super().__init__()
        self.prefix = prefix
        self.norm = nn.LayerNorm(channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.gammax = nn.Parameter(torch.ones(channels))
        self.project1 = nn.Linear(channels, hidden)
        self.adapter_conv = ScaleConvs(hidden)
        self.dropout = nn.Dropout(dropout)
        self.project2 = nn.Linear(hidden, channels)
        for linear in (self.project1, self.project2):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        if zero_init:
            nn.init.zeros_(self.project2.weight)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the update of the stream."""
        kept = context.num_prefix if self.prefix == 'pointwise' else 0
        tokens = x if kept else context.to_tokens(x)  # (B, P + N, C) or (B, N, C)
        d = self.project1(self.norm(tokens) * self.gamma + tokens * self.gammax)
        grid = d[:, kept:].transpose(1, 2).unflatten(2, context.grid(x))  # (B, d, H, W)
        mixed = self.adapter_conv(grid).flatten(2).transpose(1, 2)
        if kept:
            mixed = torch.cat((d[:, :kept].to(mixed.dtype), mixed), dim=1)
        y = self.project2(self.dropout(F.gelu(mixed)))
        return y if kept else context.from_tokens(y, x)


@PEFT_METHODS.register_module()
class Mona(LayerMethod):
    """Adds a convolving bottleneck to the stream after the attention and after the feed-forward.

    Convolutional encoders have no stream between two branches: one layer a block, at its end.

    Args:
        hidden_dims: d.
        dropout: Probability for the hidden activations, in training.
        prefix: Update of prefix tokens: ``skip`` (they pass unchanged) or ``pointwise`` (the layer
            without its convolutions).
        zero_init: Starts the last projection at zero, so that the start is exactly the frozen
            encoder; officially it is not.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        STREAM(block, mid and out): (..., C) -> the same.

    Source: Yin et al., CVPR 2025 (5% > 100%), Sec. 3.3. Differs from it: none on Swin, which has no
    prefix tokens.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='Mona', hidden_dims=8, blocks=[-1]))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        9600
        >>> list(backbone.peft.layers)
        ['mid_7', 'out_7']
    """

    why_not_mergeable = 'it convolves, and has an activation in between'
    no_weight_decay = ('gamma', 'gammax')

    def __init__(
        self,
        hidden_dims: Count = 64,
        *,
        dropout: Probability = 0.1,
        prefix: Literal['skip', 'pointwise'] = 'skip',
        zero_init: bool = False,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(blocks)
        self.exact_at_start = zero_init
        self.hidden_dims, self.dropout = hidden_dims, dropout
        self.prefix, self.zero_init = prefix, zero_init

    def find_sites(self, anatomy: Anatomy) -> Sequence[StreamSite]:
        """Returns the streams after the branches."""
        return anatomy.find(StreamSite, where=('mid', 'out'), blocks=self.blocks)

    def make_layer(self, site: StreamSite) -> nn.Module:
        """Returns the layer of one place."""
        return MonaLayer(
            site.channels,
            self.hidden_dims,
            dropout=self.dropout,
            prefix=self.prefix,
            zero_init=self.zero_init,
        )
