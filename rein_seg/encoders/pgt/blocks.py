"""Parts of PGT: the block, its feed-forward and positions, the stage.

B batch, H x W grid, N = H W tokens, M prompts, C channels, m ratio of the feed-forward.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from rein_seg.encoders.pgt.attention import Padding, PyramidGroupAttention
from rein_seg.encoders.truncated import TruncatedLinear
from rein_seg.structures import RunState


class FeedForward(nn.Module):
    """Computes fc2(GELU(fc1 x)), with the names of mmcv's module.

    Args:
        embed_dims: C.
        hidden: m C.

    Shapes:
        (..., C) -> (..., C).
    """

    def __init__(self, embed_dims: int, hidden: int) -> None:
        super().__init__()
        first = nn.Sequential(TruncatedLinear(embed_dims, hidden), nn.GELU())
        self.layers = nn.Sequential(first, TruncatedLinear(hidden, embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the branch's result."""
        return self.layers(x)


class ConvPosition(nn.Module):
    """Computes x + depthwise 3x3 convolution of the map; prompts pass unchanged.

    Args:
        embed_dims: C.
        state: State of the encoder.

    Shapes:
        (B, M+N, C) -> (B, M+N, C).
    """

    def __init__(self, embed_dims: int, state: RunState) -> None:
        super().__init__()
        self.conv = nn.Conv2d(embed_dims, embed_dims, 3, padding=1, groups=embed_dims)
        self.state = state

    def forward(self, x: Tensor) -> Tensor:
        """Returns the sequence with its positions."""
        prompts = self.state.num_prompts
        grid = x[:, prompts:].transpose(1, 2).unflatten(2, self.state.grid)
        y = self.conv(grid).flatten(2).transpose(1, 2)
        return x + (F.pad(y, (0, 0, prompts, 0)) if prompts else y)


class PGTBlock(nn.Module):
    """x += attn(norm1 x), x += ffn(norm2 x), x += depthwise convolution of x.

    Args:
        embed_dims: C.
        num_heads: Number of heads.
        group_num: Number of groups of the attention.
        state: State of the encoder, whose ``grid`` is set.
        mlp_ratio: m.
        qkv_bias: Whether queries, keys and values have biases.
        padding: See `PyramidGroupAttention`.
        drop_path: Rate of stochastic depth of the first two branches.

    Shapes:
        (B, M+N, C) -> (B, M+N, C).
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        group_num: int,
        *,
        state: RunState,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        padding: Padding = 'intent',
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = PyramidGroupAttention(
            embed_dims, num_heads, group_num, state=state, padding=padding, qkv_bias=qkv_bias
        )
        self.drop_path1 = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.ffn = FeedForward(embed_dims, int(mlp_ratio * embed_dims))
        self.drop_path2 = DropPath(drop_path)
        self.cpe = ConvPosition(embed_dims, state)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the stream behind the block."""
        x = x + self.drop_path1(self.attn(self.norm1(x)))
        x = x + self.drop_path2(self.ffn(self.norm2(x)))
        return self.cpe(x)


class Transform(nn.Module):
    """Embeds patches of a map: a convolution of kernel = stride, then a norm.

    Args:
        in_channels: Channels of the map.
        embed_dims: C.
        patch_size: Side of a patch; the rest of a side that it does not divide is left out.
        state: State of the encoder; gets the grid of the patches.
        norm: Whether there is a norm.

    Shapes:
        (B, C', H', W') -> (B, N, C).
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        patch_size: int,
        *,
        state: RunState,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dims, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(embed_dims) if norm else nn.Identity()
        self.state = state

    def forward(self, x: Tensor) -> Tensor:
        """Returns the tokens, and notes their grid."""
        x = self.proj(x)
        self.state.grid = tuple(x.shape[2:])
        return self.norm(x.flatten(2).transpose(1, 2))


class PGTStage(nn.Module):
    """A patch transform and its blocks.

    Args:
        transform: Module from a map to tokens.
        blocks: Blocks of the stage.

    Shapes:
        (B, C', H', W') -> (B, N, C) tokens, whose grid is in the encoder's state.
    """

    def __init__(self, transform: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.transform = transform
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the tokens of the stage."""
        x = self.transform(x)
        for block in self.blocks:
            x = block(x)
        return x
