"""The output of a backbone, and the typed places of an encoder that a method can attach to.

B batch, N patch tokens, P prefix tokens (class, registers, prompts), C channels, H x W grid,
Q queries. Layouts: ``NLC`` (B, P+N, C), ``NHWC`` (B, H, W, C), ``NCHW`` (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError

Layout = Literal['NLC', 'NHWC', 'NCHW']
Side = Literal['input', 'output']
SiteT = TypeVar('SiteT', bound='Site')


@dataclass(frozen=True)
class Features:
    """The output of a backbone, for neck and head.

    Attributes:
        maps: One (B, C_i, H_i, W_i) tensor for each output of the encoder.
        queries: (Q, C_q) object queries made by the method, the same for every image, or
            (B, Q, C_q) of each image, from inside the encoder; or None.
        embedding: (B, C, H, W) patches of a plain ViT before positions are added, if the model
            keeps them for a head; else None.
        joint: The image in the space that it shares with text: global (B, D) and dense
            (B, D, h, w) embedding, not normalised, of an encoder that has it; else None.
        text: (K, D) embedding of each class, or (B, K, D) for each image, of a model with text;
            else None.
        scores: (B, K, h, w) cosine similarities of dense and text embeddings, if a neck makes them;
            else None.
        fixed_text: (K, D) embedding of each class in fixed words, length 1, of a text branch that
            has such words, as `ClassTable`, or beside a learned prompt; else None.
        first: The features of the frozen encoder alone, of the image as it came, if the method
            makes such a pass first; without gradients. Else None.
        prefix: (B, P, C) class and register tokens of each map, normed where the map is, if the
            model keeps them for a head; P may be 0. Else None.
        early: The predictions that a head made between the encoder's blocks, in their order.

    Example:
        >>> import torch
        >>> from rein_seg.structures import Features
        >>> features = Features(maps=(torch.zeros(1, 192, 8, 16),))
        >>> len(features.maps), features.queries
        (1, None)
    """

    maps: tuple[Tensor, ...]
    queries: Tensor | None = None
    embedding: Tensor | None = None
    joint: tuple[Tensor, Tensor] | None = None
    text: Tensor | None = None
    scores: Tensor | None = None
    fixed_text: Tensor | None = None
    first: Features | None = None
    prefix: tuple[Tensor, ...] | None = None
    early: tuple[Any, ...] = ()


@dataclass(frozen=True)
class RowMask:
    """The tokens that some rows of an attention may attend to; all other rows see every token.

    Attributes:
        start: Place of the first of M rows in a sequence of T tokens.
        allowed: (B, M, T) bool, the same for all heads.

    Example:
        >>> import torch
        >>> from rein_seg.structures import RowMask
        >>> RowMask(1, torch.tensor([[[True, True, False]]])).dense().int()
        tensor([[[1, 1, 1],
                 [1, 1, 0],
                 [1, 1, 1]]], dtype=torch.int32)
    """

    start: int
    allowed: Tensor

    def dense(self) -> Tensor:
        """Returns the (B, T, T) mask of all rows."""
        batch, rows, length = self.allowed.shape
        ahead = self.allowed.new_ones(batch, self.start, length)
        behind = self.allowed.new_ones(batch, length - self.start - rows, length)
        return torch.cat((ahead, self.allowed, behind), dim=1)


@dataclass(frozen=True)
class JoinedPass:
    """Queries of a head on their way through the last blocks.

    Attributes:
        tokens: (B, Q, C) queries in front of the next block.
        plan: For each of the blocks the probability that a query is masked, None where nothing is
            predicted in front of it.
    """

    tokens: Tensor
    plan: tuple[float | None, ...]


@dataclass
class RunState:
    """State of the running forward pass; one object for each anatomy.

    Attributes:
        grid: (H, W) of the current image, for layouts that do not show it (NLC).
        num_prompts: Tokens inserted by methods at this moment: after the prefix tokens, or in rows
            below a map; see `rein_seg.prompt_rows`.
        carried: (B, M, C) tokens that came out of one block, on their way into the next.
        joined: The queries of a head that joined the encoder, while its backbone runs; else None.
        row_mask: Rows of the running block's attention that do not see every token, or None.
        recomputing: Whether a block runs a second time, for the backward pass of activation
            checkpointing.
        muted: Whether hooks change nothing: the frozen encoder alone runs.
        prepared: Method -> the tensors that its ``prepare`` made for the running pass; blocks that
            run a second time see the tensors of their own pass.
    """

    grid: tuple[int, int] = (0, 0)
    num_prompts: int = 0
    carried: Tensor | None = None
    joined: JoinedPass | None = None
    row_mask: RowMask | None = None
    recomputing: bool = False
    muted: bool = False
    prepared: dict[Any, Any] = field(default_factory=dict)

    def begin(self) -> None:
        """Forgets what an earlier pass left behind, if it ended with an error."""
        self.num_prompts, self.carried, self.row_mask = 0, None, None


@dataclass(frozen=True)
class Tap:
    """One tensor inside the encoder: the first input, or the output, of a module.

    Attributes:
        module: The module.
        side: input or output.
        layout: Order of the dimensions.
        grid: For tokens: (N, state) -> (H, W); raises a `UserError` where it is not known. None:
            the state's grid.
    """

    module: nn.Module
    side: Side
    layout: Layout
    grid: Callable[[int, RunState], tuple[int, int]] | None = None


@dataclass(frozen=True)
class Site:
    """A typed place; ``block`` counts over the whole encoder, -1 outside the blocks.

    Attributes:
        block: Index of the block, 0 to num_blocks - 1, or -1.
        stage: Index of the stage; a plain ViT has one.
        depth: Index of the block within its stage, or -1.
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
        user: The module whose call uses it; None for its owner.
        until: Module before whose call the last use is; None: the call of ``user``.
    """

    name: str
    role: str
    param: nn.Parameter
    owner: nn.Module
    user: nn.Module | None = None
    until: nn.Module | None = None


@dataclass(frozen=True)
class OpSite(Site):
    """OP: a weight-bearing linear or convolution.

    Attributes:
        role: qkv, proj, fc1, fc2, dw, pw1, pw2, patch, merge, ...
        name: Module name in the encoder.
        tap: The module's output.
        parts: Named slices (name, start, end) of the output channels, such as q, k, v; or empty.
        padding: Pads the input as a convolution with padding of its own does: ``(module, x) -> x``;
            the plain convolution of that is the output. None: the module's input is used as it is.
    """

    role: str
    name: str
    tap: Tap
    parts: tuple[tuple[str, int, int], ...] = ()
    padding: Callable[[nn.Module, Tensor], Tensor] | None = None

    @property
    def module(self) -> nn.Linear | nn.Conv2d:
        """The linear or convolution itself."""
        assert isinstance(self.tap.module, (nn.Linear, nn.Conv2d)), self.name
        return self.tap.module


@dataclass(frozen=True)
class NormSite(Site):
    """NORM: a normalisation layer (norm1, norm2, norm, merge, final).

    Attributes:
        role: norm1, norm2, final, ...
        name: Module name in the encoder.
        tap: The output of the norm.
        norm: The module with weight and bias, if it goes on behind the norm, as with an activation:
            then the tap is in front of that. None: the module of the tap.
    """

    role: str
    name: str
    tap: Tap
    norm: nn.Module | None = None

    @property
    def module(self) -> nn.Module:
        """The module with the norm's weight and bias."""
        return self.tap.module if self.norm is None else self.norm


@dataclass(frozen=True)
class StreamSite(Site):
    """STREAM: the residual stream at a block's entry, after its attention, or at its exit.

    Attributes:
        where: in, mid or out.
        taps: The tensor to change. For mid there are two (the second norm's input and the block's
            output) where the stream at that place is a local variable of the block.
    """

    where: Literal['in', 'mid', 'out']
    taps: tuple[Tap, ...]


@dataclass(frozen=True)
class BranchSite(Site):
    """BRANCH: one branch of a block, from its entry to just before the residual sum.

    Attributes:
        branch: attn, ffn or conv.
        entry_raw: The stream that enters, before its norm.
        entry_norm: The same after its norm; None for a branch without a norm of its own.
        exit_pre: The branch's result before LayerScale.
        exit_post: The same after LayerScale; None where no module gives it.
        conv: The spatial convolution of a branch conv, for its kernel, stride and widths.
        beside: Module name of a block that lies beside the stream, as in a second path of the
            network; empty for a block of the stream.
    """

    branch: Literal['attn', 'ffn', 'conv']
    entry_raw: Tap
    entry_norm: Tap | None
    exit_pre: Tap
    exit_post: Tap | None
    conv: nn.Conv2d | None = None
    beside: str = ''


class Undo(Protocol):
    """A handle that undoes a change, such as PyTorch's `RemovableHandle`."""

    def remove(self) -> None:
        """Undoes the change."""


@dataclass(frozen=True)
class SeqSite(Site):
    """SEQ: the token sequence of one block, for tokens inserted at entry and taken out at exit.

    Attributes:
        entry: The input of the block. In a map, inserted tokens lie in rows below it, and each
            window of the block's attention sees all of them.
        exit: The output of the block.
        merging: For the first block of a later stage, the module that merges the patches in front
            of it, (B, H, W, C) -> (B, H/2, W/2, D); else None.
        masking: Has the block's attention obey ``row_mask`` of the state from now on, and returns
            what undoes that; None where the attention takes no mask.
        why_no_mask: The reason of that, for messages.
    """

    entry: Tap
    exit: Tap
    merging: nn.Module | None = None
    masking: Callable[[RunState], Undo] | None = None
    why_no_mask: str = 'its attention has no place for a mask'

    @property
    def takes_mask(self) -> bool:
        """Whether the block's attention obeys ``row_mask`` of the state."""
        return self.masking is not None


@dataclass(frozen=True)
class JointSite(Site):
    """JOINT: the tensor that enters the module that makes the joint embedding of `Features`.

    Methods' tokens are out of it already.

    Attributes:
        tap: The module's input: the sequence behind the last block, or the last map.
    """

    tap: Tap


@dataclass(frozen=True)
class Anatomy:
    """The sites and sizes of one encoder.

    Attributes:
        family: Name of the family, for messages.
        sites: Every site, in the order of the forward pass.
        num_prefix: Class and register tokens in front of the patch tokens.
        patch_size: Side of a patch in pixels (the stem's stride for convolutional encoders).
        out_channels: C of each output map.
        out_strides: Stride of each output map in pixels.
        stage_depths: Blocks of each stage; a plain ViT has one stage.
        stage_channels: C of each stage.
        grid_module: Module whose output is (tokens, (H, W)), or a (B, C, H, W) map of the patches,
            for NLC encoders; else None.
        divisor: Image sides must be multiples of it, in pixels; 1 for any side.
        least_side: Shortest side of an image in pixels, where it does not follow from the stages.
        check_size: Raises for image sizes (H, W), in pixels, that the encoder refuses for another
            reason than its divisor; or None.
        state: Grid and prompt count of the running forward pass.
        settings: Attributes (module, name, value) of the encoder that sites rely on.
        hooks: Forward hooks (module, side, hook) that sites rely on; hooks of the input also take
            keyword arguments.
        no_maps: Why the encoder gives no maps, and what to do; None if it gives maps.
        joint_dims: D of the joint embedding of `Features`, or None without it.
        refused: (kind of site, reason): why there are none of this kind, or not all of them.
        out_taps: The tensor that each output map is made of: (B, P+N, C) behind a block, before the
            final norm. Empty where maps are not made of tokens.
        norms_maps: Whether every output map has passed the final norm.
        num_heads: Heads of the attention, the same in all blocks; None where blocks differ or have
            no attention.
        rotary: Whether the attention has rotary positions of the patches.
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
    least_side: int = 1
    check_size: Callable[[Sequence[int]], None] | None = None
    state: RunState = field(default_factory=RunState)
    settings: tuple[tuple[nn.Module, str, Any], ...] = ()
    hooks: tuple[tuple[nn.Module, Side, Callable[..., None]], ...] = ()
    no_maps: str | None = None
    joint_dims: int | None = None
    refused: tuple[tuple[type[Site], str], ...] = ()
    out_taps: tuple[Tap, ...] = ()
    norms_maps: bool = False
    num_heads: int | None = None
    rotary: bool = False

    @property
    def final_norm(self) -> nn.Module | None:
        """The encoder's own last norm, of the NORM site with the role final; None without it."""
        norms = (site for site in self.sites if isinstance(site, NormSite))
        return next((site.tap.module for site in norms if site.role == 'final'), None)

    @property
    def joint(self) -> nn.Module | None:
        """Module whose output is the joint embedding, global and dense; None without it."""
        found = (site.tap.module for site in self.sites if isinstance(site, JointSite))
        return next(found, None)

    @property
    def num_blocks(self) -> int:
        """Number of blocks of all stages."""
        return sum(self.stage_depths)

    @property
    def smallest_side(self) -> int:
        """Shortest side of an image in pixels that reaches the last stage: one step of its map."""
        least = max(self.divisor, self.least_side)
        return max(least, self.patch_size * 2 ** (len(self.stage_depths) - 1))

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
            **wanted: A value or several values of a field, such as ``role=('qkv', 'proj')``.

        Raises:
            UserError: If nothing matches; the message lists the values in this encoder.

        Example:
            >>> from rein_seg.encoders import build_encoder, find_anatomy
            >>> from rein_seg.structures import OpSite
            >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
            >>> sites = find_anatomy(encoder).find(OpSite, role=('qkv', 'proj'), blocks=[0, -1])
            >>> [site.name for site in sites]
            ['layers.0.attn.qkv', 'layers.0.attn.proj', 'layers.7.attn.qkv', 'layers.7.attn.proj']
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
                f'{self._why(kind)}Choose one of these, or a method made for this family.'
            )
        return found

    def _why(self, kind: type[Site]) -> str:
        reasons = [reason for refused, reason in self.refused if refused is kind]
        return ''.join(f'{reason[:1].upper()}{reason[1:]}. ' for reason in reasons)

    def _block_index(self, block: int) -> int:
        index = block + self.num_blocks if block < 0 else block
        if not 0 <= index < self.num_blocks:
            raise UserError(
                f'block {block} does not exist: the {self.family!r} encoder has '
                f'{self.num_blocks} blocks (0 to {self.num_blocks - 1})'
            )
        return index
