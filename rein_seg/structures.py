"""What a backbone returns, and the typed places of an encoder a method may attach to.

B batch, N patch tokens, P prefix tokens (class, registers, prompts), C channels, H x W grid,
Q queries. Layouts: ``NLC`` (B, P+N, C), ``NHWC`` (B, H, W, C), ``NCHW`` (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError

Layout = Literal['NLC', 'NHWC', 'NCHW']
Side = Literal['input', 'output']
SiteT = TypeVar('SiteT', bound='Site')


@dataclass(frozen=True)
class Features:
    """What a backbone hands to neck and head.

    Attributes:
        maps: One (B, C_i, H_i, W_i) tensor for each output of the encoder.
        queries: (Q, C_q) object queries made by the method, the same for every image, or None.
    """

    maps: tuple[Tensor, ...]
    queries: Tensor | None = None


@dataclass
class RunState:
    """What changes from one forward pass to the next; one object for each anatomy.

    Attributes:
        grid: (H, W) of the current image, for layouts that do not show it (NLC).
        num_prompts: Tokens that methods hold inserted at this moment: after the prefix tokens, or
            in rows below a map; see `join_prompts`.
        carried: (B, M, C) tokens that came out of one block, on their way into the next.
        recomputing: Whether a block runs a second time, for the backward pass of activation
            checkpointing.
    """

    grid: tuple[int, int] = (0, 0)
    num_prompts: int = 0
    carried: Tensor | None = None
    recomputing: bool = False


def join_prompts(x: Tensor, tokens: Tensor) -> Tensor:
    """Appends tokens to a map, in as many rows as they need: norms and linears take them along.

    Args:
        x: (B, H, W, C).
        tokens: (B, M, C); the last row is filled up with zeros.

    Returns:
        (B, H + ceil(M / W), W, C).
    """
    width = x.shape[2]
    filled = F.pad(tokens, (0, 0, 0, -tokens.shape[1] % width))
    return torch.cat((x, filled.unflatten(1, (-1, width)).to(x.dtype)), dim=1)


def split_prompts(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Takes ``count`` tokens off a map again.

    Returns:
        (B, H, W, C) and (B, M, C).
    """
    height = x.shape[1] - prompt_rows(count, x.shape[2])
    return x[:, :height], x[:, height:].flatten(1, 2)[:, :count]


def prompt_rows(count: int, width: int) -> int:
    """Returns how many rows of a map ``count`` tokens fill."""
    return -(-count // width)


@dataclass(frozen=True)
class Tap:
    """One tensor inside the encoder: the first input, or the output, of a module."""

    module: nn.Module
    side: Side
    layout: Layout


@dataclass(frozen=True)
class Site:
    """A typed place; ``block`` counts over the whole encoder, -1 outside the blocks.

    Attributes:
        block: Index of the block, 0 to num_blocks - 1, or -1.
        stage: Index of the stage; a plain ViT has one.
        depth: Index of the block within its stage.
        channels: C of the stream at this place.
    """

    block: int
    stage: int
    depth: int
    channels: int

    def __str__(self) -> str:
        detail = ''.join(
            f', {key}={getattr(self, key)}'
            for key in ('role', 'where', 'branch', 'name')
            if hasattr(self, key)
        )
        return f'{type(self).__name__}(block={self.block}{detail})'


@dataclass(frozen=True)
class ParamSite(Site):
    """PARAM: one named parameter of the encoder.

    Attributes:
        name: Its name in the encoder.
        role: bias, norm, norm_bias, weight, pos, token, or scale (LayerScale).
        param: The parameter.
        owner: The module that holds it.
        user: The module in whose call it is used; None: its owner.
    """

    name: str
    role: str
    param: nn.Parameter
    owner: nn.Module
    user: nn.Module | None = None


@dataclass(frozen=True)
class OpSite(Site):
    """OP: a weight-bearing linear or convolution.

    Attributes:
        role: qkv, proj, fc1, fc2, dw, pw1, pw2, patch, merge, ...
        name: Module name in the encoder.
        tap: The module's output.
        parts: Named slices of the output channels, such as q, k, v; empty when it has none.
    """

    role: str
    name: str
    tap: Tap
    parts: tuple[tuple[str, int, int], ...] = ()

    @property
    def module(self) -> nn.Linear | nn.Conv2d:
        """The linear or convolution itself."""
        assert isinstance(self.tap.module, (nn.Linear, nn.Conv2d)), self.name
        return self.tap.module


@dataclass(frozen=True)
class NormSite(Site):
    """NORM: a normalisation layer (norm1, norm2, norm, merge, final)."""

    role: str
    name: str
    tap: Tap


@dataclass(frozen=True)
class StreamSite(Site):
    """STREAM: the residual stream at a block's entry, after its attention, or at its exit.

    Attributes:
        where: in, mid or out.
        taps: The tensor to change; for mid there are two (the second norm's input and the block's
            output) since the stream at that place is a local variable of the block.
    """

    where: Literal['in', 'mid', 'out']
    taps: tuple[Tap, ...]


@dataclass(frozen=True)
class BranchSite(Site):
    """BRANCH: one branch of a block, from its entry to just before the residual sum.

    Attributes:
        branch: attn, ffn or conv.
        entry_raw: The stream that enters, before its norm.
        entry_norm: The same after its norm; None where the branch has none of its own.
        exit_pre: The branch's result before LayerScale.
        exit_post: The same after LayerScale; None where the anatomy cannot reach it.
        conv: Of a branch conv, its spatial convolution: it gives kernel, stride and widths.
    """

    branch: Literal['attn', 'ffn', 'conv']
    entry_raw: Tap
    entry_norm: Tap | None
    exit_pre: Tap
    exit_post: Tap | None
    conv: nn.Conv2d | None = None


@dataclass(frozen=True)
class SeqSite(Site):
    """SEQ: the token sequence of one block, for tokens inserted at entry and taken out at exit.

    Attributes:
        entry: What enters the block. In a map, inserted tokens lie in rows below it, and the
            block's attention knows: each of its windows sees them all.
        exit: What leaves it.
        merging: Of the first block of a later stage, the module that merges the patches in front
            of it, (B, H, W, C) -> (B, H/2, W/2, D).
    """

    entry: Tap
    exit: Tap
    merging: nn.Module | None = None


@dataclass(frozen=True)
class Anatomy:
    """Where things are in one encoder.

    Attributes:
        family: Name of the family, as in ``rein_seg/encoders/<family>.py``.
        sites: Every site, in the order of the forward pass.
        num_prefix: Class and register tokens in front of the patch tokens.
        patch_size: Pixels a side of one patch (stem stride for convolutional encoders).
        out_channels: C of each output map.
        out_strides: Pixels a step of each output map.
        stage_depths: Blocks of each stage; a plain ViT has one stage.
        stage_channels: C of each stage.
        grid_module: Module whose output is (tokens, (H, W)), for NLC encoders; else None.
        divisor: Image sides must be multiples of this many pixels; 1 takes any.
        state: Grid and prompt count of the running forward pass.
    """

    family: str
    sites: tuple[Site, ...]
    num_prefix: int
    patch_size: int
    out_channels: tuple[int, ...]
    out_strides: tuple[int, ...]
    stage_depths: tuple[int, ...]
    stage_channels: tuple[int, ...]
    grid_module: nn.Module | None = None
    divisor: int = 1
    state: RunState = field(default_factory=RunState)

    @property
    def num_blocks(self) -> int:
        """Number of blocks of all stages."""
        return sum(self.stage_depths)

    def find(
        self,
        kind: type[SiteT],
        *,
        blocks: Iterable[int] | None = None,
        **wanted: str | Iterable[str],
    ) -> tuple[SiteT, ...]:
        """Returns the sites of one kind, in forward order.

        Args:
            kind: Site class, such as `OpSite`.
            blocks: Block indexes to keep; None keeps all. Negative indexes count from the end.
            **wanted: Field values to keep, one or several, such as ``role=('qkv', 'proj')``.

        Raises:
            UserError: If nothing matches; the message lists what this encoder has.
        """
        chosen = None if blocks is None else {self._block_index(b) for b in blocks}
        options = {k: {v} if isinstance(v, str) else set(v) for k, v in wanted.items()}
        of_kind = [site for site in self.sites if isinstance(site, kind)]
        found = tuple(
            site
            for site in of_kind
            if (chosen is None or site.block in chosen)
            and all(getattr(site, key) in values for key, values in options.items())
        )
        if not found:
            asked = ', '.join(f'{k}={sorted(v)}' for k, v in options.items()) or 'any'
            there = sorted(
                {', '.join(f'{k}={getattr(site, k)}' for k in options) for site in of_kind}
            )
            raise UserError(
                f'the {self.family!r} encoder has no {kind.__name__} with {asked}'
                f'{"" if chosen is None else f" in blocks {sorted(chosen)}"}; '
                f'it has: {"; ".join(filter(None, there)) or len(of_kind)}. '
                'Choose one of these, or a method made for this family.'
            )
        return found

    def _block_index(self, block: int) -> int:
        index = block + self.num_blocks if block < 0 else block
        if not 0 <= index < self.num_blocks:
            raise UserError(
                f'block {block} does not exist: the {self.family!r} encoder has '
                f'{self.num_blocks} blocks (0 to {self.num_blocks - 1})'
            )
        return index
