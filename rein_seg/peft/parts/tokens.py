"""Learned tokens that refine the residual stream after every block: shared by Rein, FADA and SET.

B batch, N patch tokens, C channels of the stream, D channels that a branch refines, L blocks of a
stage, M tokens, r rank, Q query width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.peft.arguments import at_least
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.context import Context
from rein_seg.structures import Anatomy, StreamSite

TokenCount = Annotated[int, at_least(2)]  # the first token is dropped after the softmax
TokenRank = Annotated[int, at_least(0)]


def refine(
    f: Tensor,
    tokens: Tensor,
    token2feat: nn.Linear,
    delta_f: nn.Linear,
    *,
    use_softmax: bool = True,
    norm_logits: bool = False,
    width: int | None = None,
) -> Tensor:
    """Computes W_f (S[:, 1:] V + f) + b_f with V = W_t T[1:] + b_t and S = softmax(f T' / sqrt C).

    The first token takes part in the softmax and is dropped after it, without renormalising: the
    remaining weights need not sum to one.

    Args:
        f: (B, N, D) features.
        tokens: (M, D) tokens of this block.
        token2feat: D -> D.
        delta_f: D -> D.
        use_softmax: False uses the raw, unscaled products instead.
        norm_logits: Normalises the M products of each feature to mean 0 and variance 1 first.
        width: C of the square root; None takes D.

    Returns:
        (B, N, D), not yet scaled.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.peft.parts.tokens import refine
        >>> f, tokens = torch.randn(2, 64, 8), torch.randn(5, 8)
        >>> refine(f, tokens, nn.Linear(8, 8), nn.Linear(8, 8)).shape
        torch.Size([2, 64, 8])
    """
    similarity = F.linear(f, tokens)
    if norm_logits:
        similarity = F.layer_norm(similarity, similarity.shape[-1:])
    if use_softmax:
        similarity = (similarity / math.sqrt(width or f.shape[-1])).softmax(-1)
    values = token2feat(tokens[1:])  # (M - 1, D)
    return delta_f(similarity[..., 1:].to(values.dtype) @ values + f)


class TokenBranch(nn.Module):
    """Tokens of every block of one stage, and the linears they share.

    Parameter names are the official ones, so published checkpoints map by prefix alone.

    Args:
        depth: L.
        channels: D.
        num_tokens: M.
        rank: r of T_l = A_l B_l; 0 trains full tokens.
        query_dims: Q; None makes no queries and has no linears for them (the official modules
            contain them untrained).
        init_patch_size: p in the bound of the uniform start, sqrt(6 / (3 p^2 + D)).
        **refine: Options of `refine`.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        *,
        num_tokens: int,
        rank: int,
        query_dims: int | None = None,
        init_patch_size: int = 16,
        **refine: Any,
    ) -> None:
        super().__init__()
        self.rank, self._refine = rank, refine
        fan = 3 * init_patch_size**2
        if rank > 0:
            bound = math.sqrt(6 / (fan + math.sqrt(channels * rank)))
            # low-rank factors: each block has its own A and B
            self.learnable_tokens_a = nn.Parameter(torch.empty(depth, num_tokens, rank))
            self.learnable_tokens_b = nn.Parameter(torch.empty(depth, rank, channels))
            nn.init.uniform_(self.learnable_tokens_a, -bound, bound)
            nn.init.uniform_(self.learnable_tokens_b, -bound, bound)
        else:
            bound = math.sqrt(6 / (fan + channels))
            self.learnable_tokens = nn.Parameter(torch.empty(depth, num_tokens, channels))
            nn.init.uniform_(self.learnable_tokens, -bound, bound)
        self.mlp_token2feat = nn.Linear(channels, channels)
        self.mlp_delta_f = nn.Linear(channels, channels)
        if query_dims is not None:
            self.transform = nn.Linear(channels, query_dims)
            self.merge = nn.Linear(3 * query_dims, query_dims)

    def tokens(self, layer: int | None = None) -> Tensor:
        """Returns the (M, D) tokens of one block, or (L, M, D) of all."""
        index = slice(None) if layer is None else layer
        if self.rank > 0:
            return self.learnable_tokens_a[index] @ self.learnable_tokens_b[index]
        return self.learnable_tokens[index]

    def delta(self, f: Tensor, layer: int) -> Tensor:
        """Returns (B, N, D): ``f`` refined by the tokens of block ``layer``; see `refine`."""
        return refine(f, self.tokens(layer), self.mlp_token2feat, self.mlp_delta_f, **self._refine)

    def queries(self) -> Tensor:
        """Returns the (M, Q) queries: max, mean and last over the blocks, then one linear.

        The three are interleaved channel by channel, as the published weights expect; the paper
        concatenates three blocks.
        """
        each = self.transform(self.tokens())  # (L, M, Q)
        stats = torch.stack((each.max(0).values, each.mean(0), each[-1]), dim=-1)
        return self.merge(stats.flatten(-2))


class TokenMethod(PEFTMethod):
    """Refines the output of blocks with one module a stage; a plain ViT has one stage.

    Subclasses implement `make_stage`. Its module has ``forward(f, layer, grid)``, which gets
    (B, N, C) patch features, the number of the block within the module and (H, W), and returns
    the update of the features; and ``queries()``.

    Args:
        num_tokens: M.
        rank: r.
        blocks: Blocks to refine after; None takes all, negative indexes count from the end.
        query_dims: Q; None makes no queries.

    Attributes:
        reads_grid: Whether modules read (H, W), which some encoders do not show (Hiera's tokens
            lie in another order); else they get (0, 0).
    """

    reads_grid = True
    why_not_mergeable = 'its softmax over tokens depends on the features'
    no_weight_decay = ('learnable_tokens', 'learnable_tokens_a', 'learnable_tokens_b', 'scale')

    def __init__(
        self,
        num_tokens: TokenCount,
        rank: TokenRank,
        *,
        blocks: Sequence[int] | None,
        query_dims: int | None,
    ) -> None:
        super().__init__()
        self.query_dims = query_dims
        self.blocks = blocks
        self.stages = nn.ModuleList()
        self._places: dict[int, tuple[int, int]] = {}  # block -> (module, layer in it)

    def make_stage(self, depth: int, channels: int) -> nn.Module:
        """Returns the module of a stage of ``depth`` blocks."""
        raise NotImplementedError

    def build(self, anatomy: Anatomy) -> None:
        """Makes a module for each stage that has a refined block.

        A stage whose blocks differ in width (EfficientNet) has one for each width.
        """
        sites = anatomy.find(StreamSite, where='out', blocks=self.blocks)
        for stage, channels in dict.fromkeys((site.stage, site.channels) for site in sites):
            # a module holds the refined blocks of its stage only, counted from 0
            own = [s for s in sites if (s.stage, s.channels) == (stage, channels)]
            self._places |= {site.block: (len(self.stages), i) for i, site in enumerate(own)}
            self.stages.append(self.make_stage(len(own), channels))

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks to the output of every refined block."""
        for site in anatomy.find(StreamSite, where='out', blocks=self.blocks):
            self.hook(site, self.refine)

    def refine(self, x: Tensor, context: Context) -> Tensor:
        """Returns the delta of one block output, in its layout."""
        module, layer = self._places[context.site.block]
        grid = context.grid(x) if self.reads_grid else (0, 0)
        delta = self.stages[module](context.to_tokens(x), layer, grid)
        return context.from_tokens(delta, x)

    def queries(self) -> Tensor | None:
        """Returns the (M, Q) queries, summed over the stages, or None when not linked."""
        if self.query_dims is None:
            return None
        return torch.stack([stage.queries() for stage in self.stages]).sum(0)  # type: ignore[operator]


def from_official(state: Mapping[str, Tensor], *, first: str, second: str) -> dict[str, Tensor]:
    """Renames the tensors of an official module of two branches.

    A 2 at the end of the name of a parameter or linear marks the second branch; scale keeps its
    name, and the fixed filters (wavepool) are left out.

    Args:
        state: Tensors by official name.
        first: Our name of the first branch.
        second: Our name of the second branch.
    """
    own = {}
    for name, tensor in state.items():
        head, _, leaf = name.partition('.')
        if head == 'wavepool':
            continue
        branch = second if head.endswith('2') else first
        path = '.'.join(filter(None, (head.removesuffix('2'), leaf)))
        own[path if head == 'scale' else f'{branch}.{path}'] = tensor
    return own
