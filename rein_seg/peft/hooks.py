"""Turns a method's function into hooks on the taps of a site.

Every hook is a bound method of an object that the method holds, so a deep copy of the model (as
EMA makes) gets hooks on its own adapters; a closure would go on using the original's.
Tensors are replaced, never changed in place: an encoder may use them again.

B batch, N patch tokens, P prefix tokens (class, registers, prompts), C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rein_seg.structures import (
    Anatomy,
    BranchSite,
    Layout,
    NormSite,
    OpSite,
    ParamSite,
    RunState,
    SeqSite,
    Site,
    StreamSite,
    Tap,
    join_prompts,
    prompt_rows,
    split_prompts,
)


class Context:
    """What a method's function may know about the tensor it gets.

    Attributes:
        site: The site, with its block, stage, depth and channels.
        layout: How the tensor lies in memory.
    """

    def __init__(self, site: Site, layout: Layout, anatomy: Anatomy) -> None:
        self.site = site
        self.layout = layout
        self._state = anatomy.state
        self._num_prefix = anatomy.num_prefix

    @property
    def num_prefix(self) -> int:
        """Tokens in front of the patches now: class, registers and inserted prompts."""
        return self._num_prefix + self._state.num_prompts if self.layout == 'NLC' else 0

    @property
    def recomputing(self) -> bool:
        """Whether this is the second pass of activation checkpointing: keep nothing from it."""
        return self._state.recomputing

    @property
    def carried(self) -> Tensor | None:
        """Tokens that `carry` was given by the block before; they are handed out once."""
        tokens, self._state.carried = self._state.carried, None
        return tokens

    def carry(self, tokens: Tensor) -> None:
        """Hands (B, M, C) tokens that came out of this block to the next one."""
        if not self.recomputing:
            self._state.carried = tokens

    def grid(self, x: Tensor) -> tuple[int, int]:
        """Returns (H, W) of the patches in ``x``."""
        if self.layout == 'NLC':
            return self._state.grid
        if self.layout == 'NCHW':
            return (x.shape[2], x.shape[3])
        return (x.shape[1] - self._rows(x), x.shape[2])

    def to_tokens(self, x: Tensor) -> Tensor:
        """Returns the patches of ``x`` as (B, N, C), whatever its layout."""
        if self.layout == 'NLC':
            return x[:, self.num_prefix :]
        if self.layout == 'NHWC':
            return x[:, : x.shape[1] - self._rows(x)].flatten(1, 2)
        return x.flatten(2).transpose(1, 2)

    def from_tokens(self, tokens: Tensor, like: Tensor) -> Tensor:
        """Returns (B, N, C) patches in the shape of ``like``, zero for prefix tokens, prompts."""
        if self.layout == 'NLC':
            return F.pad(tokens, (0, 0, self.num_prefix, 0)) if self.num_prefix else tokens
        if self.layout == 'NHWC':
            rows = self._rows(like)
            grid = tokens.unflatten(1, (-1, like.shape[2]))
            return F.pad(grid, (0, 0, 0, 0, 0, rows)) if rows else grid
        return tokens.transpose(1, 2).reshape(like.shape)

    def _rows(self, x: Tensor) -> int:
        count = self._state.num_prompts
        return prompt_rows(count, x.shape[2]) if count else 0

    def to_grid(self, x: Tensor) -> Tensor:
        """Returns the patches of ``x`` as (B, C, H, W)."""
        if self.layout == 'NCHW':
            return x
        return self.to_tokens(x).transpose(1, 2).unflatten(2, self.grid(x))

    def from_grid(self, grid: Tensor, like: Tensor) -> Tensor:
        """Returns a (B, C, H, W) map in the shape of ``like``, zero for prefix tokens."""
        if self.layout == 'NCHW':
            return grid
        return self.from_tokens(grid.flatten(2).transpose(1, 2), like)

    def channels_last(self, x: Tensor) -> Tensor:
        """Returns ``x`` as (..., C), for linears and norms over the channels; prefix included."""
        return x.permute(0, 2, 3, 1) if self.layout == 'NCHW' else x

    def from_channels_last(self, x: Tensor) -> Tensor:
        """Returns (..., C) in the layout of the site."""
        return x.permute(0, 3, 1, 2) if self.layout == 'NCHW' else x


class GridHook:
    """Notes the (H, W) grid that the encoder's patch embedding reports."""

    def __init__(self, state: RunState) -> None:
        self.state = state

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Reads (tokens, (H, W))."""
        height, width = output[1]
        self.state.grid = (int(height), int(width))


class OpHook:
    """OP: output -> function(input, output, context)."""

    def __init__(self, site: OpSite, function: Callable[..., Tensor], anatomy: Anatomy) -> None:
        self.function = function
        self.context = Context(site, site.tap.layout, anatomy)

    def register(self, site: OpSite) -> list[RemovableHandle]:
        """Registers on the operation's module."""
        return [site.module.register_forward_hook(self.on_output)]

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Replaces the output."""
        return self.function(args[0], output, self.context)


class NormHook:
    """NORM: output -> function(output, context)."""

    def __init__(self, site: NormSite, function: Callable[..., Tensor], anatomy: Anatomy) -> None:
        self.function = function
        self.context = Context(site, site.tap.layout, anatomy)

    def register(self, site: NormSite) -> list[RemovableHandle]:
        """Registers on the norm."""
        return [site.tap.module.register_forward_hook(self.on_output)]

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Replaces the output."""
        return self.function(output, self.context)


class StreamHook:
    """STREAM: x -> x + function(x, context).

    The stream after the attention is a local variable of the block. Adding d to the second norm's
    input and the same d to the block's output is exact for every pre-norm block.
    """

    def __init__(self, site: StreamSite, function: Callable[..., Tensor], anatomy: Anatomy) -> None:
        self.function = function
        self.context = Context(site, site.taps[0].layout, anatomy)
        self._delta: Tensor | None = None

    def register(self, site: StreamSite) -> list[RemovableHandle]:
        """Registers on the one tap of in and out, or the two of mid."""
        if site.where == 'mid':
            norm, block = site.taps
            # first at the exit: d has the prompts that a SEQ hook takes out there
            return [
                norm.module.register_forward_pre_hook(self.on_mid_input),
                block.module.register_forward_hook(self.on_mid_output, prepend=True),
            ]
        tap = site.taps[0]
        if tap.side == 'input':
            return [tap.module.register_forward_pre_hook(self.on_input)]
        return [tap.module.register_forward_hook(self.on_output)]

    def on_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Adds d to the first input."""
        return (args[0] + self.function(args[0], self.context), *args[1:])

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Adds d to the output."""
        return output + self.function(output, self.context)

    def on_mid_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Computes d and adds it for the branch that follows."""
        self._delta = self.function(args[0], self.context)
        return (args[0] + self._delta, *args[1:])

    def on_mid_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Adds the same d to the stream that leaves the block."""
        delta, self._delta = self._delta, None
        assert delta is not None, 'the second norm did not run'
        return output + delta


class BranchHook:
    """BRANCH: f -> f + function(g, context), g being f itself or what entered the branch.

    Args:
        site: The branch.
        function: The adapter; it gets g, in the layout the context names.
        anatomy: The encoder's anatomy.
        source: ``exit`` (sequential adapter), ``entry_raw`` or ``entry_norm`` (parallel).
        after_scale: Whether f is taken after LayerScale where the anatomy can reach it.
    """

    def __init__(
        self,
        site: BranchSite,
        function: Callable[..., Tensor],
        anatomy: Anatomy,
        *,
        source: str = 'exit',
        after_scale: bool = True,
    ) -> None:
        if source not in ('exit', 'entry_raw', 'entry_norm'):
            raise ValueError(f'source={source!r}: expected exit, entry_raw or entry_norm')
        self.function = function
        self.exit = site.exit_post if after_scale and site.exit_post else site.exit_pre
        entry = None if source == 'exit' else getattr(site, source)
        if source != 'exit' and entry is None:
            raise ValueError(f'{site} has no {source}: use entry_raw')
        self.entry: Tap | None = entry
        self.context = Context(site, (entry or self.exit).layout, anatomy)
        self._entered: Tensor | None = None

    def register(self, site: BranchSite) -> list[RemovableHandle]:
        """Registers on the exit and, for a parallel adapter, on the entry."""
        handles = []
        if self.entry is not None and self.entry.side == 'input':
            handles.append(self.entry.module.register_forward_pre_hook(self.on_entry_input))
        elif self.entry is not None:
            handles.append(self.entry.module.register_forward_hook(self.on_entry_output))
        if self.exit.side == 'input':
            handles.append(self.exit.module.register_forward_pre_hook(self.on_exit_input))
        else:
            handles.append(self.exit.module.register_forward_hook(self.on_exit_output))
        return handles

    def on_entry_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Keeps what enters."""
        self._entered = args[0]

    def on_entry_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Keeps what enters."""
        self._entered = output

    def on_exit_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Adds the adapter's result before the module at the exit."""
        return (self._add(args[0]), *args[1:])

    def on_exit_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Adds the adapter's result after the module at the exit."""
        return self._add(output)

    def _add(self, result: Tensor) -> Tensor:
        if self.entry is None:
            return result + self.function(result, self.context)
        entered, self._entered = self._entered, None
        delta = self.function(entered, self.context)
        if self.context.layout == 'NCHW' and self.exit.layout == 'NHWC':
            delta = delta.permute(0, 2, 3, 1)
        elif self.context.layout == 'NHWC' and self.exit.layout == 'NCHW':
            delta = delta.permute(0, 3, 1, 2)
        return result + delta


class ParamHook:
    """PARAM: function() stands in for the encoder's own parameter while what uses it runs.

    Between forward passes the encoder holds what it held before, so its state dict and its other
    users see its own weights.
    """

    def __init__(
        self, site: ParamSite, function: Callable[[], nn.Parameter], anatomy: Anatomy
    ) -> None:
        self.function = function
        self.owner = site.owner
        self.name = site.name.rpartition('.')[2]
        self._own: nn.Parameter | None = None

    def register(self, site: ParamSite) -> list[RemovableHandle]:
        """Registers on the module that uses the parameter; it is put back on errors, too."""
        user = site.owner if site.user is None else site.user
        return [
            user.register_forward_pre_hook(self.on_input),
            user.register_forward_hook(self.on_output, always_call=True),
        ]

    def on_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Puts the other parameter in."""
        self._own = self.owner._parameters[self.name]
        self.owner._parameters[self.name] = self.function()

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Puts the encoder's own back."""
        if self._own is not None:
            self.owner._parameters[self.name] = self._own
        self._own = None


class SeqHook:
    """SEQ: inserts function(x, context) for one block, then takes it out.

    In a sequence they follow the prefix tokens; in a map they lie in rows below it.

    Args:
        site: The block's sequence.
        function: Returns the (B, M, C) tokens to insert.
        anatomy: The encoder's anatomy.
        collect: Gets the (B, M, C) tokens that come out, as ``collect(tokens, context)``.
    """

    def __init__(
        self,
        site: SeqSite,
        function: Callable[..., Tensor],
        anatomy: Anatomy,
        *,
        collect: Callable[[Tensor, Context], None] | None = None,
    ) -> None:
        self.function = function
        self.collect = collect
        self.context = Context(site, site.entry.layout, anatomy)
        self.state = anatomy.state
        self._count = 0

    def register(self, site: SeqSite) -> list[RemovableHandle]:
        """Registers on the block's entry and exit."""
        return [
            site.entry.module.register_forward_pre_hook(self.on_entry),
            site.exit.module.register_forward_hook(self.on_exit),
        ]

    def on_entry(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Inserts the tokens."""
        inserted = self.function(args[0], self.context).to(args[0].dtype)
        ahead, held, after = self._split(args[0])
        self._count = inserted.shape[1]
        self.state.num_prompts += self._count
        return (self._join(ahead, torch.cat((held, inserted), dim=1), after), *args[1:])

    def on_exit(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Takes the tokens out."""
        ahead, tokens, after = self._split(output)
        self.state.num_prompts -= self._count
        if self.collect is not None:
            self.collect(tokens[:, : self._count], self.context)
        # hooks run in the order they came: those before have taken theirs, others follow
        return self._join(ahead, tokens[:, self._count :], after)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what lies ahead of the prompts that are held, these, and what follows."""
        count = self.state.num_prompts
        if self.context.layout == 'NHWC':
            grid, tokens = split_prompts(x, count)
            return grid, tokens, tokens
        stop = self.context.num_prefix
        return x[:, : stop - count], x[:, stop - count : stop], x[:, stop:]

    def _join(self, ahead: Tensor, tokens: Tensor, after: Tensor) -> Tensor:
        if self.context.layout == 'NHWC':
            return join_prompts(ahead, tokens) if tokens.shape[1] else ahead
        return torch.cat((ahead, tokens, after), dim=1)
