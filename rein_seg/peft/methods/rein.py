"""Rein: learned tokens refine the residual stream after every block.

B batch, N patch tokens, C channels, L blocks of a stage, M tokens, r rank, D query width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.peft.arguments import Count
from rein_seg.peft.parts.tokens import TokenBranch, TokenCount, TokenMethod, TokenRank
from rein_seg.registry import PEFT_METHODS


class ReinStage(TokenBranch):
    """Tokens of every block of one stage, the linears they share, and a scale.

    Args:
        depth: L.
        channels: C.
        scale_init: Start of the learned scale.
        zero_init: Starts the delta linear at zero and fixes the scale at 1.
        **branch: See `TokenBranch`.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        *,
        scale_init: float = 0.001,
        zero_init: bool = False,
        **branch: Any,
    ) -> None:
        super().__init__(depth, channels, **branch)
        self.scale = 1.0 if zero_init else nn.Parameter(torch.tensor(float(scale_init)))
        if zero_init:
            nn.init.zeros_(self.mlp_delta_f.weight)
            nn.init.zeros_(self.mlp_delta_f.bias)

    def forward(self, f: Tensor, layer: int, grid: tuple[int, int]) -> Tensor:
        """Returns the update that block ``layer`` adds to the (B, N, C) patch features ``f``."""
        return self.scale * self.delta(f, layer)


@PEFT_METHODS.register_module()
class Rein(TokenMethod):
    """Refines block outputs with learned tokens: x + scale * delta(x, T_l).

    Args:
        num_tokens: M >= 2 tokens for each block (paper: 100).
        rank: r of T_l = A_l B_l; 0 trains full tokens.
        blocks: Blocks to refine after; None takes all, negative indexes count from the end. On SAM
            the global-attention blocks, [7, 15, 23, 31] of ViT-H.
        link_to_queries: Makes object queries for the head from the tokens.
        query_dims: D, width of these queries.
        use_softmax: False uses raw, unscaled products.
        scale_init: Start of the learned scale.
        zero_init: Starts the delta linear at zero and fixes the scale at 1, so that the start is
            exactly the frozen encoder.
        init_patch_size: p in the bound of the uniform start, sqrt(6 / (3 p^2 + C)).

    Shapes:
        STREAM(block, out): (B, P+N, C) -> the same; prefix tokens pass unchanged.

    Source: Wei et al., CVPR 2024, Sec. 3. Differs from it, as the official code does: a learned
    scale (0.001), prefix tokens not refined, queries interleaved. The scale does not decay for any
    encoder (officially it does for staged encoders, where the name does not match).

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='Rein', num_tokens=10, rank=4))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        326849
        >>> backbone.peft.queries().shape
        torch.Size([10, 256])
    """

    reads_grid = False

    def __init__(
        self,
        num_tokens: TokenCount = 100,
        rank: TokenRank = 16,
        *,
        blocks: Sequence[int] | None = None,
        link_to_queries: bool = True,
        query_dims: Count = 256,
        use_softmax: bool = True,
        scale_init: float = 0.001,
        zero_init: bool = False,
        init_patch_size: Count = 16,
    ) -> None:
        queries = query_dims if link_to_queries else None
        super().__init__(num_tokens, rank, blocks=blocks, query_dims=queries)
        self.exact_at_start = zero_init
        self._sizes: dict[str, Any] = dict(
            num_tokens=num_tokens,
            rank=rank,
            query_dims=queries,
            use_softmax=use_softmax,
            scale_init=scale_init,
            zero_init=zero_init,
            init_patch_size=init_patch_size,
        )

    def make_stage(self, depth: int, channels: int) -> nn.Module:
        """Returns the tokens and linears of a stage."""
        return ReinStage(depth, channels, **self._sizes)
