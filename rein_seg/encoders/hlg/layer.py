"""A layer of HLG: a convolving feed-forward, then attention from pixels to windows.

B batch, C' and C channels before and after, H x W map, N = H W, P prompts, nW windows of M members,
h heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn

from rein_seg.encoders.hlg.attention import (
    PositionBias,
    WindowAttention,
    centre_bias,
    column_bias,
    local_bias,
)
from rein_seg.encoders.hlg.parts import (
    ConvMLP,
    DownProjection,
    GlobalAttention,
    Pair,
    beside,
    crop_tokens,
    pad_tokens,
    smoothing,
    to_map,
)
from rein_seg.encoders.hlg.windows import Windows
from rein_seg.structures import RunState

Behaviour = Literal['intent', 'official']
_EPS = 1e-6


class HLGLayer(nn.Module):
    """The convolving feed-forward of a layer, x = short(x) + norm(M x); subclasses attend.

    Args:
        inputs: C'.
        channels: C.
        num_heads: h.
        down: Whether the layer halves the map; else C' is C.
        state: Of the encoder, with the grid of the tokens.
        drop_path: Probability of leaving out a branch of an image, in training.
        qkv_bias: Whether q, k and v have a bias.

    Shapes:
        (B, N, C') -> (B, N, C), N of the halved map where ``down``.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        num_heads: int,
        *,
        down: bool,
        state: RunState,
        drop_path: float = 0.0,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.state, self.num_heads = state, num_heads
        self.down_proj = DownProjection(inputs, channels) if down else nn.Identity()
        self.mlp = ConvMLP(inputs, channels, stride=2 if down else 1)
        self.norm2 = nn.LayerNorm(channels, eps=_EPS)
        self.q, self.k, self.v = (nn.Linear(channels, channels, bias=qkv_bias) for _ in range(3))
        self.norm1 = nn.LayerNorm(channels, eps=_EPS)
        self.pos_global = PositionBias(channels // 16, num_heads)
        self.global_attn = GlobalAttention(channels)
        # places for methods, without parameters: end of the feed-forward, stream between the
        # branches, end of the attention
        self.mlp_drop, self.attn_drop = DropPath(drop_path), DropPath(drop_path)
        self.middle, self.attn_out = nn.Identity(), nn.Identity()

    def embed(self, x: Tensor) -> Tensor:
        """Computes (B, C', H', W') -> (B, H, W, C) of the feed-forward with its shortcut."""
        y = self.norm2(self.mlp(x).permute(0, 2, 3, 1))
        return self.down_proj(x).permute(0, 2, 3, 1) + self.mlp_drop(y)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the tokens; notes the grid of the result."""
        y = self.embed(to_map(x, self.state.grid))
        self.state.grid = (y.shape[1], y.shape[2])
        return self.attend(y)

    def attend(self, x: Tensor) -> Tensor:
        """Returns the tokens of a (B, H, W, C) map after the attention."""
        raise NotImplementedError


class PromptEmbedding(nn.Module):
    """Carries prompts into the next stage through its first layer's embedding.

    Each prompt fills a map of its own, and padding takes no part.

    Args:
        layer: The layer, which halves the map.

    Shapes:
        (B, 2, 2P, C'), four copies of each prompt -> (B, 1, P, C): see `SeqSite`.
    """

    def __init__(self, layer: HLGLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, copies: Tensor) -> Tensor:
        """Returns the embedded prompts."""
        tokens = copies[:, 0, ::2]  # (B, P, C')
        maps = tokens.flatten(0, 1)[..., None, None].expand(-1, -1, 4, 4)
        return self.layer.embed(maps)[:, 1, 1].unflatten(0, tokens.shape[:2])[:, None]


class GlobalLayer(HLGLayer):
    """A layer of the last stage: every pixel attends to all, x += norm1(W_o attention(x))."""

    def attend(self, x: Tensor) -> Tensor:
        """Returns the tokens of a (B, H, W, C) map after the attention."""
        pixels = (range(x.shape[1]), range(x.shape[2]))
        bias = self.pos_global.of_grids(pixels, pixels)
        y = self.middle(x.flatten(1, 2))  # prompts enter here
        mixed = self.norm1(self.global_attn(self.q(y), self.k(y), self.v(y), bias))
        return y + self.attn_out(self.attn_drop(mixed))


class LocalToGlobalLayer(HLGLayer):
    """A layer of the other stages: smooths, attends in windows, then from pixels to windows.

    Prompts are members of every window and get the mean over the windows; as keys of the pixels
    they stand beside the windows, of which they are no part. Their biases are 0, and the two
    convolutions leave them out.

    Args:
        inputs: As `HLGLayer`.
        channels: As `HLGLayer`.
        num_heads: As `HLGLayer`.
        dilated: Whether the windows spread over the map.
        behaviour: ``intent`` or ``official``; see `HLGTransformer`.
        window_size: Side of a window in members.
        **options: As `HLGLayer`.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        num_heads: int,
        *,
        dilated: bool,
        behaviour: Behaviour = 'intent',
        window_size: int = 7,
        **options: Any,
    ) -> None:
        super().__init__(inputs, channels, num_heads, **options)
        self.dilated, self.behaviour, self.window_size = dilated, behaviour, window_size
        self.spatial_smooth = smoothing(channels)
        self.norm0 = nn.LayerNorm(channels, eps=_EPS)
        self.pos_local = PositionBias(channels // 16, num_heads)
        self.local_attn = WindowAttention(num_heads)
        self.h0_norm = nn.LayerNorm(channels, eps=_EPS)
        self.aux_q = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def attend(self, x: Tensor) -> Tensor:
        """Returns the tokens of a (B, H, W, C) map after the attention."""
        size = (x.shape[1], x.shape[2])
        windows = Windows.of_side(size, self.window_size, dilated=self.dilated)
        if self.behaviour == 'official':  # padding is smoothed, and then a pixel like others
            x = windows.pad(x)
            windows = Windows.of_side(windows.padded, self.window_size, dilated=self.dilated)
        x = x.permute(0, 3, 1, 2)
        smoothed = F.gelu(x + self.spatial_smooth[0](x))
        with self.grid(windows.size):
            y = self.middle(smoothed.flatten(2).transpose(1, 2))  # prompts enter here
            y = y + self.attn_out(self.local_to_global(y, windows, size))
        return crop_tokens(y, windows.size, size)

    def local_to_global(self, y: Tensor, windows: Windows, size: Pair) -> Tensor:
        """Returns the sum of both attentions.

        Args:
            y: (B, P+N, C) tokens.
            windows: Of the map, with its padding if padding is like pixels.
            size: (H, W) of the map without padding, whose pixels attend to the windows.
        """
        count = self.state.num_prompts
        normed = self.norm0(y)
        s = self.q(normed)
        local = self.local(s, self.v(normed), windows)
        z = y + local
        means = windows.means(z[:, count:].unflatten(1, windows.size))
        t = self.h0_norm(torch.cat((z[:, :count], means), dim=1))
        with self.grid(windows.count):
            k, v = self.k(t), self.v(t)
        s, pixels = (crop_tokens(tokens, windows.size, size) for tokens in (s, local))
        with self.grid(size):
            around = self.aux_q(to_map(self.norm1(pixels)[:, count:], size))
            q = s + beside(count, around.flatten(2).transpose(1, 2))
            mixed = self.global_attn(q, k, v, self.global_bias(windows, size))
        return local + pad_tokens(self.attn_drop(mixed), size, windows.size)

    def local(self, s: Tensor, v: Tensor, windows: Windows) -> Tensor:
        """Returns (B, P+N, C): each window's members and the prompts attend to one another.

        Args:
            s: (B, P+N, C) queries, which are the keys, too.
            v: (B, P+N, C) values.
            windows: Of the map.
        """
        count, bias = self.state.num_prompts, local_bias(self.pos_local, windows.members)
        s, v = (windows.cut_tokens(x, count) for x in (s, v))
        y = self.local_attn(s, s, v, bias, windows.seen)
        pixels = windows.join(y[:, :, count:]).flatten(1, 2)
        return torch.cat((y[:, :, :count].mean(1), pixels), dim=1) if count else pixels

    def global_bias(self, windows: Windows, size: Pair) -> Tensor:
        """Returns the (h, H W, nW) bias of pixels and windows."""
        if self.behaviour == 'intent':
            return centre_bias(self.pos_global, windows, size)
        return column_bias(self.pos_global, windows, size)

    @contextmanager
    def grid(self, grid: Pair) -> Iterator[None]:
        """Notes another grid for the operations inside."""
        own, self.state.grid = self.state.grid, grid
        yield
        self.state.grid = own
