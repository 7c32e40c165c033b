"""Rein: learned tokens refine the residual stream after every block.

B batch, N patch tokens, C channels, L blocks of a stage, M tokens, r rank, D query width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.hooks import Context
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, StreamSite


def refine(
    f: Tensor, tokens: Tensor, token2feat: nn.Linear, delta_f: nn.Linear, *, use_softmax: bool
) -> Tensor:
    """Computes W_f (S[:, 1:] V + f) + b_f with V = W_t T[1:] + b_t and S = softmax(f T' / sqrt C).

    The first token takes part in the softmax and is dropped after it, without renormalising: the
    weights that are kept need not sum to one.

    Args:
        f: (B, N, C) patch features.
        tokens: (M, C) tokens of this block.
        token2feat: C -> C.
        delta_f: C -> C.
        use_softmax: False keeps the raw products, unscaled.

    Returns:
        (B, N, C), not yet scaled.
    """
    similarity = F.linear(f, tokens)
    if use_softmax:
        similarity = (similarity / math.sqrt(f.shape[-1])).softmax(-1)
    values = token2feat(tokens[1:])
    return delta_f(similarity[..., 1:].to(values.dtype) @ values + f)


class ReinStage(nn.Module):
    """Tokens of every block of one stage, and the linears they share.

    Parameter names are the official ones, so published checkpoints map by prefix alone. The
    query linears exist only when the queries are used: the official module keeps them, untrained.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        *,
        num_tokens: int,
        rank: int,
        query_dims: int | None,
        use_softmax: bool = True,
        scale_init: float = 0.001,
        zero_init: bool = False,
        init_patch_size: int = 16,
    ) -> None:
        super().__init__()
        self.rank = rank
        self.use_softmax = use_softmax
        fan = 3 * init_patch_size**2
        if rank > 0:
            bound = math.sqrt(6 / (fan + math.sqrt(channels * rank)))
            self.learnable_tokens_a = nn.Parameter(torch.empty(depth, num_tokens, rank))
            self.learnable_tokens_b = nn.Parameter(torch.empty(depth, rank, channels))
            nn.init.uniform_(self.learnable_tokens_a, -bound, bound)
            nn.init.uniform_(self.learnable_tokens_b, -bound, bound)
        else:
            bound = math.sqrt(6 / (fan + channels))
            self.learnable_tokens = nn.Parameter(torch.empty(depth, num_tokens, channels))
            nn.init.uniform_(self.learnable_tokens, -bound, bound)
        self.scale = 1.0 if zero_init else nn.Parameter(torch.tensor(float(scale_init)))
        self.mlp_token2feat = nn.Linear(channels, channels)
        self.mlp_delta_f = nn.Linear(channels, channels)
        if zero_init:
            nn.init.zeros_(self.mlp_delta_f.weight)
            nn.init.zeros_(self.mlp_delta_f.bias)
        if query_dims is not None:
            self.transform = nn.Linear(channels, query_dims)
            self.merge = nn.Linear(3 * query_dims, query_dims)

    def tokens(self, layer: int | None = None) -> Tensor:
        """Returns the (M, C) tokens of one block, or (L, M, C) of all."""
        index = slice(None) if layer is None else layer
        if self.rank > 0:
            return self.learnable_tokens_a[index] @ self.learnable_tokens_b[index]
        return self.learnable_tokens[index]

    def forward(self, f: Tensor, layer: int) -> Tensor:
        """Returns what block ``layer`` adds to the (B, N, C) patch features ``f``."""
        delta = refine(
            f,
            self.tokens(layer),
            self.mlp_token2feat,
            self.mlp_delta_f,
            use_softmax=self.use_softmax,
        )
        return self.scale * delta

    def queries(self) -> Tensor:
        """Returns the (M, D) queries: max, mean and last over the blocks, then one linear.

        The three are interleaved channel by channel, as the published weights expect; the paper
        writes three blocks side by side.
        """
        each = self.transform(self.tokens())  # (L, M, D)
        stats = torch.stack((each.max(0).values, each.mean(0), each[-1]), dim=-1)
        return self.merge(stats.flatten(-2))


@PEFT_METHODS.register_module()
class Rein(PEFTMethod):
    """Refines block outputs with learned tokens: x + scale * delta(x, T_l).

    Args:
        num_tokens: M >= 2 tokens for each block (paper: 100).
        rank: r of T_l = A_l B_l; 0 keeps full tokens.
        blocks: Blocks to refine after; None takes all, negative ones count from the end. On SAM
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

    Raises:
        UserError: If num_tokens < 2 or rank < 0.

    Source: Wei et al., CVPR 2024, Sec. 3. Differs from it, as the official code does: a learned
    scale (0.001), prefix tokens not refined, queries interleaved. The scale does not decay for any
    encoder (officially it does for staged ones, where the name does not match).
    """

    no_weight_decay = ('learnable_tokens', 'learnable_tokens_a', 'learnable_tokens_b', 'scale')

    def __init__(
        self,
        num_tokens: int = 100,
        rank: int = 16,
        *,
        blocks: Sequence[int] | None = None,
        link_to_queries: bool = True,
        query_dims: int = 256,
        use_softmax: bool = True,
        scale_init: float = 0.001,
        zero_init: bool = False,
        init_patch_size: int = 16,
    ) -> None:
        super().__init__()
        if num_tokens < 2:
            raise UserError(
                f'Rein num_tokens={num_tokens}: expected at least 2, since the first is dropped'
            )
        if rank < 0:
            raise UserError(f'Rein rank={rank}: expected 0 (full tokens) or more')
        self.query_dims = query_dims if link_to_queries else None
        self.exact_at_start = zero_init
        self._sizes = dict(
            num_tokens=num_tokens,
            rank=rank,
            query_dims=self.query_dims,
            use_softmax=use_softmax,
            scale_init=scale_init,
            zero_init=zero_init,
            init_patch_size=init_patch_size,
        )
        self.blocks = blocks
        self.stages = nn.ModuleList()
        self._places: dict[int, tuple[int, int]] = {}  # block -> (module, layer in it)

    def build(self, anatomy: Anatomy) -> None:
        """Makes one `ReinStage` for each stage that has a refined block; a plain ViT has one."""
        sites = anatomy.find(StreamSite, where='out', blocks=self.blocks)
        for stage in sorted({site.stage for site in sites}):
            own = [site for site in sites if site.stage == stage]
            self._places |= {site.block: (len(self.stages), i) for i, site in enumerate(own)}
            sizes: dict[str, Any] = self._sizes
            self.stages.append(ReinStage(len(own), own[0].channels, **sizes))

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks to the output of every block that is refined."""
        for site in anatomy.find(StreamSite, where='out', blocks=self.blocks):
            self.hook(site, self.refine)

    def refine(self, x: Tensor, context: Context) -> Tensor:
        """Returns the delta of one block output, in its layout."""
        module, layer = self._places[context.site.block]
        delta = self.stages[module](context.to_tokens(x), layer)
        return context.from_tokens(delta, x)

    def queries(self) -> Tensor | None:
        """Returns the (M, D) queries, summed over the stages, or None when not linked."""
        if self.query_dims is None:
            return None
        each = [stage.queries() for stage in self.stages if isinstance(stage, ReinStage)]
        return torch.stack(each).sum(0)

    def fold(self) -> None:
        """Cannot be folded.

        Raises:
            NotImplementedError: Always, with the reason.
        """
        raise NotImplementedError(
            'Rein cannot be folded into weights: its softmax over tokens depends on the features'
        )
