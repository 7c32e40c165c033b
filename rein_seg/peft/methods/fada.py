"""FADA: Rein's tokens for low and high frequencies separately, split by Haar wavelets.

B batch, N patch tokens, C channels, L blocks of a stage, M tokens, r rank, Q query width, H x W
grid. LL, LH, HL, HH: the four bands of a Haar transform, low or high along rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count
from rein_seg.peft.parts import tokens
from rein_seg.peft.parts.tokens import TokenBranch, TokenCount, TokenMethod, TokenRank
from rein_seg.registry import PEFT_METHODS

Bands = tuple[Tensor, Tensor, Tensor, Tensor]


def haar(x: Tensor) -> Bands:
    """Returns LL, LH, HL, HH, each (..., H/2, W/2), of (..., H, W) with even sides; orthonormal.

    Example:
        >>> import torch
        >>> from rein_seg.peft.methods.fada import haar, inverse_haar
        >>> x = torch.arange(8.0).reshape(2, 4)
        >>> [band.tolist() for band in haar(x)]
        [[[5.0, 9.0]], [[1.0, 1.0]], [[4.0, 4.0]], [[0.0, 0.0]]]
        >>> torch.equal(inverse_haar(haar(x)), x)
        True
    """
    a, b = x[..., ::2, ::2], x[..., ::2, 1::2]
    c, d = x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, (b - a + d - c) / 2, (c - a + d - b) / 2, (a - b - c + d) / 2


def inverse_haar(bands: Bands) -> Tensor:
    """Returns the (..., H, W) input of `haar` from its bands."""
    ll, lh, hl, hh = bands
    top = torch.stack((ll - lh - hl + hh, ll + lh - hl - hh), dim=-1)
    bottom = torch.stack((ll - lh + hl - hh, ll + lh + hl + hh), dim=-1)
    return torch.stack((top.flatten(-2), bottom.flatten(-2)), dim=-2).flatten(-3, -2) / 2


class SpatialFADA(nn.Module):
    """One stage, with bands over the image plane.

    The low branch refines LL, the high branch LH, HL and HH, all C wide; the inverse transform
    joins their results. Odd sides are padded by their last row or column.

    Args:
        depth: L.
        channels: C.
        scale_init: Start of the learned scale.
        query_dims: Q, of queries made from the low branch's tokens.
        **branch: See `TokenBranch`.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        *,
        scale_init: float,
        query_dims: int | None,
        **branch: Any,
    ) -> None:
        super().__init__()
        low, high = self.widths(channels)
        self.low = TokenBranch(depth, low, query_dims=query_dims, width=channels, **branch)
        self.high = TokenBranch(depth, high, norm_logits=True, width=channels, **branch)
        self.scale = nn.Parameter(torch.tensor(float(scale_init)))

    @staticmethod
    def widths(channels: int) -> tuple[int, int]:
        """Returns the widths of the low and the high branch."""
        return channels, channels

    def queries(self) -> Tensor:
        """Returns (M, Q) queries; see `TokenBranch`."""
        return self.low.queries()

    def forward(self, f: Tensor, layer: int, grid: tuple[int, int]) -> Tensor:
        """Returns the update that block ``layer`` adds to the (B, N, C) patch features ``f``."""
        height, width = grid
        planes = f.transpose(1, 2).unflatten(2, grid)  # (B, C, H, W)
        if height % 2 or width % 2:
            planes = F.pad(planes, (0, width % 2, 0, height % 2), mode='replicate')
        bands = torch.stack(haar(planes), dim=2)  # (B, C, 4, H/2, W/2)
        flat = bands.flatten(2).transpose(1, 2)  # (B, N, C), band by band
        count = flat.shape[1] // 4
        low = self.low.delta(flat[:, :count], layer)
        high = self.high.delta(flat[:, count:], layer)
        # back to (B, C, 4, H/2, W/2)
        delta = torch.cat((low, high), dim=1).transpose(1, 2).reshape(bands.shape)
        ll, lh, hl, hh = delta.unbind(2)
        planes = inverse_haar((ll, lh, hl, hh))[..., :height, :width]  # without the padding
        return self.scale * planes.flatten(2).transpose(1, 2)


class ChannelFADA(SpatialFADA):
    """One stage, with bands over each token's own channels, as the official code computes them.

    The C channels of a token are laid out as (C / w, w), w the square root of N. The low branch
    refines LL (C / 4 wide), the high branch LH, HL, HH (3 C / 4 wide), and their results are added
    to the channels in this order, without an inverse transform. Officially w must be even and 2 w a
    divisor of C, otherwise tokens and images get mixed; here the next lower such w is used.
    """

    @staticmethod
    def widths(channels: int) -> tuple[int, int]:
        """Returns the widths of the low and the high branch."""
        if channels % 4:
            raise UserError(
                f'FADA mode="channel" divides channels by 4, the encoder has {channels}: use '
                'mode="spatial"'
            )
        return channels // 4, 3 * channels // 4

    def forward(self, f: Tensor, layer: int, grid: tuple[int, int]) -> Tensor:
        """Returns the update that block ``layer`` adds to the (B, N, C) patch features ``f``."""
        side = channel_layout(f.shape[1], f.shape[2])
        ll, *others = (band.flatten(-2) for band in haar(f.unflatten(-1, (-1, side))))
        low = self.low.delta(ll, layer)
        high = self.high.delta(torch.cat(others, dim=-1), layer)
        return self.scale * torch.cat((low, high), dim=-1)


def channel_layout(count: int, channels: int) -> int:
    """Returns w: the largest even number up to sqrt(N), at least 2, with 2 w a divisor of C."""
    return next(w for w in range(max(2, isqrt(count)), 1, -1) if w % 2 == 0 == channels % (2 * w))


@PEFT_METHODS.register_module()
class FADA(TokenMethod):
    """Refines the low and the high frequencies of block outputs with separate tokens.

    The high branch normalises its attention logits to mean 0 and variance 1 over the M tokens.

    Args:
        num_tokens: M >= 2 tokens for each block and branch.
        rank: r of T_l = A_l B_l; 0 trains full tokens.
        mode: ``spatial``: wavelets over the image plane, with their inverse, as the paper says.
            ``channel``: over the channels of each token, without it, as the released code does.
        blocks: Blocks to refine after; None takes all, negative indexes count from the end.
        link_to_queries: Makes object queries for the head from the low branch's tokens.
        query_dims: Width of these queries.
        scale_init: Start of the learned scale.
        init_patch_size: p in the bound of the uniform start; see `TokenBranch`.

    Shapes:
        STREAM(block, out): (B, P+N, C) -> the same; prefix tokens pass unchanged.

    Raises:
        UserError: If mode is ``channel`` and the encoder's width is not a multiple of 4.

    Source: Bi et al., NeurIPS 2024. Differs from it: the three high bands share their tokens and
    linears, C wide; the paper does not say. mode ``channel`` equals the official module.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='FADA', num_tokens=10, rank=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        407425
        >>> backbone.peft.queries().shape
        torch.Size([10, 256])
    """

    exact_at_start = False

    def __init__(
        self,
        num_tokens: TokenCount = 100,
        rank: TokenRank = 16,
        *,
        mode: Literal['spatial', 'channel'] = 'spatial',
        blocks: Sequence[int] | None = None,
        link_to_queries: bool = True,
        query_dims: Count = 256,
        scale_init: float = 0.001,
        init_patch_size: Count = 16,
    ) -> None:
        queries = query_dims if link_to_queries else None
        super().__init__(num_tokens, rank, blocks=blocks, query_dims=queries)
        self.mode = mode
        self._sizes: dict[str, Any] = dict(
            num_tokens=num_tokens,
            rank=rank,
            query_dims=queries,
            scale_init=scale_init,
            init_patch_size=init_patch_size,
        )

    def make_stage(self, depth: int, channels: int) -> nn.Module:
        """Returns the tokens and linears of a stage."""
        stage = SpatialFADA if self.mode == 'spatial' else ChannelFADA
        return stage(depth, channels, **self._sizes)


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the official module's tensors for a stage of mode ``channel``."""
    return tokens.from_official(state, first='low', second='high')
