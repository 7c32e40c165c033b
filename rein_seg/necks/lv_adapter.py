"""LV-Adapter's neck: an FPN whose maps look at the words of the classes.

B batch, K classes of all tasks, D width of their embeddings, C channels, h x w map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.models.necks import FPN
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.necks.contract import FeaturesNeck
from rein_seg.necks.pixel_text.neck import score_map
from rein_seg.necks.token_pyramid import TokenPyramid
from rein_seg.peft.arguments import checked
from rein_seg.registry import reconstruction
from rein_seg.rules import Count
from rein_seg.structures import Features

_ALIGNED = 8  # pixels a step of the map that is compared with the words


class LanguageAttention(nn.Module):
    """Pixels ask words: x + Wo attention(Wq LN(x), Wk LN(E), Wv LN(E)), with Wo = 0 at the start.

    Args:
        dims: C.
        text_dims: D.
        num_heads: Divides C.

    Shapes:
        (B, C, h, w) map, (K, D) or (B, K, D) text -> (B, C, h, w).

    Example:
        >>> import torch
        >>> from rein_seg.necks.lv_adapter import LanguageAttention
        >>> x = torch.randn(2, 8, 4, 6)
        >>> torch.equal(LanguageAttention(8, 5, num_heads=2)(x, torch.randn(3, 5)), x)
        True
    """

    def __init__(self, dims: int, text_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.text_norm = nn.LayerNorm(dims), nn.LayerNorm(text_dims)
        self.q_proj = nn.Linear(dims, dims)
        self.k_proj, self.v_proj = nn.Linear(text_dims, dims), nn.Linear(text_dims, dims)
        self.out_proj = nn.Linear(dims, dims)
        nn.init.zeros_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """Returns the map with the words that its pixels read."""
        words = self.text_norm(text).expand(len(x), -1, -1)
        pixels = self.norm(x.flatten(2).transpose(1, 2))  # (B, h w, C)
        q, k, v = (
            y.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, ., C / heads)
            for y in (self.q_proj(pixels), self.k_proj(words), self.v_proj(words))
        )
        read = F.scaled_dot_product_attention(q, k, v)
        read = self.out_proj(read.transpose(1, 2).flatten(2))
        return x + read.transpose(1, 2).unflatten(2, x.shape[2:])


@reconstruction('LVAdapter: the parts are named as in arXiv 2209.08953, their content is ours')
@MODELS.register_module()
class LVAdapter(FeaturesNeck, BaseModule):
    """A reconstruction of LV-Adapter's neck; no code and no text of its method could be read.

    P = FPN(maps): lateral 1x1 convolutions, a top-down path of bilinear resizing and addition, 3x3
    convolutions. Each P_i then reads the words, see `LanguageAttention`. At the map of stride 8 the
    cosines of Wp X and the words are the scores that an `AlignmentHead` trains.

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        in_strides: Pixels a step of each map; filled in by the segmentor.
        text_dims: D; filled in by the segmentor.
        factors: Scales of a `TokenPyramid` in front, for an encoder whose maps have one size, such
            as (4, 2, 1, 0.5). None takes the maps as they are.
        out_channels: C of each map behind the FPN.
        num_heads: Heads of the attention; divides C.
        align: Whether to score pixels and words; a model without an `AlignmentHead` has no use
            for it.

    Shapes:
        `Features` with maps (B, C_i, h_i, w_i) and text (K, D) -> maps (B, C, ., .), and with
        ``align`` scores (B, K, h, w) from -1 to 1.

    Raises:
        UserError: If the heads do not divide C, or the numbers of factors and maps differ.

    Source: named after "LV-Adapter" (arXiv 2209.08953, NeurIPS 2022): multi-scale adapters of a
    frozen encoder, attention from pixels to the embeddings of classes, prompts of each task.
    Differs from it: unknown; sizes, order and start values are ours.

    Example:
        >>> import torch
        >>> from rein_seg.necks import LVAdapter
        >>> from rein_seg.structures import Features
        >>> neck = LVAdapter([8, 16], [8, 16], text_dims=6, out_channels=16)
        >>> maps = (torch.zeros(1, 8, 4, 6), torch.zeros(1, 16, 2, 3))
        >>> found = neck(Features(maps, text=torch.randn(3, 6)))
        >>> [tuple(x.shape) for x in (*found.maps, found.scores)]
        [(1, 16, 4, 6), (1, 16, 2, 3), (1, 3, 4, 6)]
    """

    filled_in = ('in_channels', 'in_strides', 'text_dims')
    open_vocabulary = True
    makes_scores = True

    @checked
    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        text_dims: int,
        *,
        factors: Sequence[float] | None = None,
        out_channels: Count = 256,
        num_heads: Count = 8,
        align: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if out_channels % num_heads:
            near = num_heads * -(-out_channels // num_heads)
            raise UserError(
                f'LVAdapter out_channels={out_channels}, num_heads={num_heads}: expected a width '
                f'that the heads divide; take out_channels={near}'
            )
        strides = [float(stride) for stride in in_strides]
        self.pyramid: nn.Module = nn.Identity()
        if factors is not None:
            self.pyramid = TokenPyramid(in_channels, factors)
            strides = [stride / factor for stride, factor in zip(strides, factors, strict=True)]
            self.least_steps = math.ceil(1 / min(1.0, *factors))
        count = len(strides)
        self.fpn = FPN(
            list(in_channels), out_channels, num_outs=count, upsample_cfg=dict(mode='bilinear')
        )
        self.attentions = nn.ModuleList(
            LanguageAttention(out_channels, text_dims, num_heads) for _ in range(count)
        )
        self.level = min(range(count), key=lambda i: abs(math.log(strides[i] / _ALIGNED)))
        self.align_proj = nn.Conv2d(out_channels, text_dims, 1) if align else None
        self.out_channels = (out_channels,) * count
        self.out_strides = tuple(int(stride) for stride in strides)

    def forward(self, features: Features) -> Features:
        """Returns the features behind the FPN and the words, with the scores."""
        assert features.text is not None
        text = features.text
        maps = tuple(
            attend(x, text)
            for attend, x in zip(
                self.attentions, self.fpn(self.pyramid(features.maps)), strict=True
            )
        )
        if self.align_proj is None:
            return replace(features, maps=maps)
        words = text.expand(len(maps[0]), -1, -1)
        return replace(
            features, maps=maps, scores=score_map(self.align_proj(maps[self.level]), words)
        )
