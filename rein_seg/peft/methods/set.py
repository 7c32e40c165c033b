"""SET: Rein's tokens for phase and amplitude separately, of a Fourier transform.

B batch, N patch tokens, C channels, L blocks of a stage, M tokens, r rank, Q query width, H x W
grid, K coefficients of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count
from rein_seg.peft.parts import tokens
from rein_seg.peft.parts.tokens import TokenBranch, TokenCount, TokenMethod, TokenRank
from rein_seg.registry import PEFT_METHODS

_TINY = 1e-5  # the official constant


class SETStage(nn.Module):
    """Refines phase and amplitude of one stage's features, with the transform of ``mode``.

    Args:
        depth: L.
        channels: C.
        mode: See `SET`.
        rank: r of the phase branch's tokens; the amplitude branch has full tokens.
        scale_init: Start of the learned scale.
        query_dims: Q, of queries made from the phase branch's tokens.
        **branch: See `TokenBranch`.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        *,
        mode: str,
        rank: int,
        scale_init: float,
        query_dims: int | None,
        **branch: Any,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.phase = TokenBranch(depth, channels, rank=rank, query_dims=query_dims, **branch)
        self.amplitude = TokenBranch(depth, channels, rank=0, norm_logits=True, **branch)
        self.scale = nn.Parameter(torch.tensor(float(scale_init)))

    def queries(self) -> Tensor:
        """Returns (M, Q) queries; see `TokenBranch`."""
        return self.phase.queries()

    def forward(self, f: Tensor, layer: int, grid: tuple[int, int]) -> Tensor:
        """Returns the update that block ``layer`` adds to the (B, N, C) patch features ``f``."""
        # the transform needs float32; the tokens may be bfloat16, with the whole module
        amplitude, phase = (part.to(self.scale.dtype) for part in polar(f, self.mode, grid))
        phase = self.phase.delta(phase, layer)
        amplitude = self.amplitude.delta(amplitude, layer)
        refined = from_polar(amplitude, phase, self.mode, grid)
        return self.scale * refined.to(self.scale.dtype)


def polar(f: Tensor, mode: str, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Returns amplitude and phase, in float32, of the coefficients of (B, N, C) features.

    Rounding makes the phase of a negative real coefficient pi or -pi. Coefficients that are real
    for every input (constant, alternating) therefore get the imaginary part zero, and the phase 0
    or pi; the official mode does not do so.

    Returns:
        Two (B, K, C): with mode ``spatial`` K is H (W // 2 + 1), else N.

    Example:
        >>> import torch
        >>> from rein_seg.peft.methods.set import from_polar, polar
        >>> f = torch.randn(2, 12, 8)
        >>> amplitude, phase = polar(f, 'spatial', (3, 4))
        >>> amplitude.shape
        torch.Size([2, 9, 8])
        >>> torch.allclose(from_polar(amplitude, phase, 'spatial', (3, 4)), f, atol=1e-4)
        True
    """
    with torch.autocast(f.device.type, enabled=False):
        f = f.float()
        if mode == 'spatial':
            z = torch.fft.rfft2(f.unflatten(1, grid), dim=(1, 2), norm='ortho')  # (B, H, K/H, C)
            free = _is_complex(grid, f.device, half=True)[:, :, None]
            imaginary = torch.where(free, z.imag, 0.0)
            real, imaginary = z.real.flatten(1, 2), imaginary.flatten(1, 2)
        elif mode == 'channel':
            z = torch.fft.fft(f, dim=2)
            free = _is_complex((1, f.shape[2]), f.device, half=False)
            real, imaginary = z.real, torch.where(free[0], z.imag, 0.0)
        else:
            z = torch.fft.fft2(f, dim=(0, 2))
            real, imaginary = z.real, z.imag
        amplitude = _off_zero(real**2 + imaginary**2).sqrt()
        return amplitude, torch.atan2(imaginary, _off_zero(real))


def from_polar(amplitude: Tensor, phase: Tensor, mode: str, grid: tuple[int, int]) -> Tensor:
    """Returns the (B, N, C) features, in float32, of refined amplitude and phase.

    Over the channels, only the first C / 2 + 1 coefficients take part.
    """
    with torch.autocast(phase.device.type, enabled=False):
        phase, amplitude = phase.float(), amplitude.float()
        z = torch.complex(amplitude * phase.cos(), amplitude * phase.sin())
        if mode == 'spatial':
            z = z.unflatten(1, (grid[0], grid[1] // 2 + 1))
            return torch.fft.irfft2(z, s=grid, dim=(1, 2), norm='ortho').flatten(1, 2)
        batch, _, channels = z.shape
        z = z / (2 * channels) ** 0.5
        if mode == 'channel':
            return torch.fft.irfft(z, n=channels, dim=2, norm='ortho')
        return torch.fft.irfft2(z, s=(batch, channels), dim=(0, 2), norm='ortho')


def _off_zero(x: Tensor) -> Tensor:
    # sqrt and atan2 have no finite gradient at zero
    return torch.where(x.abs() < _TINY, _TINY, x)


def _is_complex(size: tuple[int, int], device: torch.device, *, half: bool) -> Tensor:
    """Returns (rows, K): False for the coefficients that are real for every real map."""
    rows, columns = size
    row = 2 * torch.arange(rows, device=device) % rows
    column = 2 * torch.arange(columns // 2 + 1 if half else columns, device=device) % columns
    return (row[:, None] + column) != 0


@PEFT_METHODS.register_module()
class SET(TokenMethod):
    """Refines phase and amplitude of block outputs with separate tokens.

    The amplitude branch has full tokens and normalises its attention logits to mean 0 and variance
    1 over them.

    Args:
        num_tokens: M >= 2 tokens for each block and branch.
        rank: r of the phase branch's T_l = A_l B_l; 0 trains full tokens there, too.
        mode: The transformed dimensions. ``spatial``: the image plane, as the paper says.
            ``channel``: the channels of each token, as in the released code for a single image.
            ``official``: the channels and the batch, as in the released code for several images, so
            that an image's features depend on the other images; for comparison only.
        blocks: Blocks to refine after; None takes all, negative indexes count from the end.
        link_to_queries: Makes object queries for the head from the phase branch's tokens.
        query_dims: Width of these queries.
        scale_init: Start of the learned scale.
        init_patch_size: p in the bound of the uniform start; see `TokenBranch`.

    Shapes:
        STREAM(block, out): (B, P+N, C) -> the same; prefix tokens pass unchanged.

    Source: Yi et al., ACM MM 2024. Differs from it: no attention-style regularisation across
    domains. mode ``official`` equals the official module.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='SET', num_tokens=10, rank=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        416321
        >>> backbone.peft.queries().shape
        torch.Size([10, 256])
    """

    exact_at_start = False

    def __init__(
        self,
        num_tokens: TokenCount = 100,
        rank: TokenRank = 16,
        *,
        mode: Literal['spatial', 'channel', 'official'] = 'spatial',
        blocks: Sequence[int] | None = None,
        link_to_queries: bool = True,
        query_dims: Count = 256,
        scale_init: float = 0.001,
        init_patch_size: Count = 16,
    ) -> None:
        queries = query_dims if link_to_queries else None
        super().__init__(num_tokens, rank, blocks=blocks, query_dims=queries)
        self._sizes: dict[str, Any] = dict(
            num_tokens=num_tokens,
            rank=rank,
            mode=mode,
            query_dims=queries,
            scale_init=scale_init,
            init_patch_size=init_patch_size,
        )

    def make_stage(self, depth: int, channels: int) -> nn.Module:
        """Returns the tokens and linears of a stage."""
        return SETStage(depth, channels, **self._sizes)


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the official module's tensors for a stage."""
    return tokens.from_official(state, first='phase', second='amplitude')
