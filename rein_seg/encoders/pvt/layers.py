"""PVT's embedding, its attention on reduced keys, its feed-forward and its block.

B batch, H x W grid, N = H W tokens, P prompts in front of them, C channels, n heads, d channels of
a head, h x w reduced grid, M = h w.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from rein_seg.encoders.pvt.archs import Arch
from rein_seg.structures import RunState

Grid = tuple[int, int]
POOLED = 7  # side of the keys of linear attention
_BLOCK_EPS, _EPS = 1e-6, 1e-5


class PatchEmbed(nn.Module):
    """Embeds a map for a stage: a strided convolution and a norm.

    Args:
        in_dims: Channels of the map.
        embed_dims: C.
        stride: Of the convolution.
        overlap: Whether the kernel is larger than the stride, with padding (v2).

    Shapes:
        (B, in, H s, W s) -> (B, N, C), (H, W); sizes round down, or up with ``overlap``.
    """

    def __init__(self, in_dims: int, embed_dims: int, stride: int, *, overlap: bool) -> None:
        super().__init__()
        kernel = 2 * stride - 1 if overlap else stride
        padding = kernel // 2 if overlap else 0
        self.proj = nn.Conv2d(in_dims, embed_dims, kernel, stride, padding)
        self.norm = nn.LayerNorm(embed_dims, eps=_EPS)

    def forward(self, x: Tensor) -> tuple[Tensor, Grid]:
        """Returns the tokens and their grid."""
        x = self.proj(x)
        return self.norm(x.flatten(2).transpose(1, 2)), (x.shape[2], x.shape[3])


class ReducedAttention(nn.Module):
    """Attention of all tokens to the tokens of a smaller map.

    Prompts are queries as they are, and keys beside the smaller map. While keys and values are
    computed, the state's grid is the smaller map's.

    Args:
        dims: C.
        num_heads: n.
        ratio: r. Each r x r patch of the map makes one key, by a convolution and a norm; what does
            not fill a patch is dropped. With 1 the map stays as it is.
        arch: For linear attention, which pools the map to 7 x 7 instead, whatever its size, and
            for the bias.
        state: State of the encoder.

    Shapes:
        (B, P+N, C), (H, W) -> (B, P+N, C).
    """

    def __init__(self, dims: int, num_heads: int, ratio: int, arch: Arch, state: RunState) -> None:
        super().__init__()
        self.num_heads, self.linear, self.state = num_heads, arch.linear, state
        self.q = nn.Linear(dims, dims, bias=arch.qkv_bias)
        self.kv = nn.Linear(dims, 2 * dims, bias=arch.qkv_bias)
        self.proj = nn.Linear(dims, dims)
        self.reduces = ratio > 1 or arch.linear
        if self.reduces:
            side = 1 if arch.linear else ratio
            self.sr = nn.Conv2d(dims, dims, side, side)
            self.norm = nn.LayerNorm(dims, eps=_EPS)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns the branch's result."""
        q = self.q(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, n, P+N, d)
        keys = self.reduce(x, grid) if self.reduces else x
        kv = self.kv(keys).unflatten(2, (2, self.num_heads, -1))  # (B, P+M, 2, n, d)
        self.state.grid = grid
        k, v = kv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))

    def reduce(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns the (B, P+M, C) input of the keys; its grid is then the state's."""
        count = self.state.num_prompts
        prompts, tokens = x[:, :count], x[:, count:]
        patches = tokens.transpose(1, 2).unflatten(2, grid)  # (B, C, H, W)
        if self.linear:
            patches = F.adaptive_avg_pool2d(patches, POOLED)
        reduced = self.sr(patches)
        self.state.grid, self.state.num_prompts = tuple(reduced.shape[2:]), 0
        tokens = self.norm(reduced.flatten(2).transpose(1, 2))
        self.state.num_prompts = count
        if self.linear:
            tokens = F.gelu(tokens)
        return torch.cat((prompts, tokens), dim=1) if count else tokens


class DepthwiseConv(nn.Module):
    """A depthwise 3x3 convolution on the map of the tokens; prompts pass unchanged."""

    def __init__(self, dims: int, state: RunState) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dims, dims, 3, padding=1, groups=dims)
        self.state = state

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns (B, P+N, C) tokens."""
        count = self.state.num_prompts
        prompts, tokens = x[:, :count], x[:, count:]
        patches = self.dwconv(tokens.transpose(1, 2).unflatten(2, grid))
        tokens = patches.flatten(2).transpose(1, 2)
        return torch.cat((prompts, tokens), dim=1) if count else tokens


class FeedForward(nn.Module):
    """Two linears with a GELU; in v2 a depthwise convolution in front of it.

    Args:
        dims: C.
        hidden: Width between the linears.
        arch: With linear attention there is a ReLU in front of the convolution, too.
        state: State of the encoder.
    """

    def __init__(self, dims: int, hidden: int, arch: Arch, state: RunState) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden)
        self.dwconv = DepthwiseConv(hidden, state) if arch.version == 'v2' else None
        self.fc2 = nn.Linear(hidden, dims)
        self.linear = arch.linear

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns the branch's result for (B, P+N, C) tokens."""
        x = self.fc1(x)
        if self.linear:
            x = F.relu(x)
        if self.dwconv is not None:
            x = self.dwconv(x, grid)
        return self.fc2(F.gelu(x))


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and added to its input.

    Args:
        stage: Index of its stage.
        arch: Sizes.
        drop_path: Probability that a branch of an image is left out, in training.
        state: State of the encoder.

    Shapes:
        (B, P+N, C), (H, W) -> (B, P+N, C).
    """

    def __init__(self, stage: int, arch: Arch, drop_path: float, state: RunState) -> None:
        super().__init__()
        dims = arch.embed_dims[stage]
        self.norm1 = nn.LayerNorm(dims, eps=_BLOCK_EPS)
        self.attn = ReducedAttention(
            dims, arch.num_heads[stage], arch.sr_ratios[stage], arch, state
        )
        self.norm2 = nn.LayerNorm(dims, eps=_BLOCK_EPS)
        self.mlp = FeedForward(dims, dims * arch.mlp_ratios[stage], arch, state)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Returns the tokens of an (H, W) grid after the block."""
        x = x + self.drop_path(self.attn(self.norm1(x), grid))
        return x + self.drop_path(self.mlp(self.norm2(x), grid))
