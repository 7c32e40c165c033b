"""Turns a method's function into forward hooks on the taps of a site.

Every hook is a bound method of an object that the method holds. A deep copy of the model, as EMA
makes, then has hooks on its own adapters; a closure would go on using the adapters of the original.
Tensors are replaced, never changed in place: an encoder may use them again.

B batch, M inserted tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rein_seg.errors import UserError
from rein_seg.peft.context import Context
from rein_seg.prompt_rows import join_prompts, split_prompts
from rein_seg.structures import (
    Anatomy,
    BranchSite,
    JointSite,
    NormSite,
    OpSite,
    ParamSite,
    RowMask,
    RunState,
    SeqSite,
    Site,
    StreamSite,
    Tap,
    Undo,
)


def unless_muted(on: Callable[..., Any]) -> Callable[..., Any]:
    """Has a hook leave all as it is while the frozen encoder runs alone; see `RunState`."""

    @wraps(on)
    def hook(self: Any, *args: Any) -> Any:
        return None if self.state.muted else on(self, *args)

    return hook


class GridHook:
    """Notes the (H, W) grid of the encoder's patch embedding, where a pass begins."""

    def __init__(self, state: RunState) -> None:
        self.state = state

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Reads (tokens, (H, W)), or the shape of a (B, C, H, W) map."""
        height, width = output.shape[-2:] if isinstance(output, Tensor) else output[1]
        self.state.begin()
        self.state.grid = (int(height), int(width))


class OutputHook:
    """OP, NORM: output -> function(input, output, context)."""

    def __init__(
        self, site: OpSite | NormSite, function: Callable[..., Tensor], anatomy: Anatomy
    ) -> None:
        self.function = function
        self.context = Context(site, site.tap.layout, anatomy, site.tap.grid)
        self.state = anatomy.state
        self.padding = site.padding if isinstance(site, OpSite) else None

    def register(self, site: OpSite | NormSite) -> list[RemovableHandle]:
        """Registers on the operation or norm."""
        return [site.tap.module.register_forward_hook(self.on_output)]

    @unless_muted
    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Replaces the output."""
        x = args[0] if self.padding is None else self.padding(module, args[0])
        return self.function(x, output, self.context)


class InputHook:
    """JOINT: input -> function(input, context)."""

    def __init__(self, site: JointSite, function: Callable[..., Tensor], anatomy: Anatomy) -> None:
        self.function = function
        self.context = Context(site, site.tap.layout, anatomy)
        self.state = anatomy.state

    def register(self, site: JointSite) -> list[RemovableHandle]:
        """Registers on the module that makes the joint embedding."""
        return [site.tap.module.register_forward_pre_hook(self.on_input)]

    @unless_muted
    def on_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Replaces the input."""
        return (self.function(args[0], self.context), *args[1:])


class StreamHook:
    """STREAM: x -> x + function(x, context).

    The stream between two branches is a local variable of most blocks. Adding d to the second
    norm's input and the same d to the block's output is exact for every pre-norm block.
    """

    def __init__(self, site: StreamSite, function: Callable[..., Tensor], anatomy: Anatomy) -> None:
        self.function = function
        self.context = Context(site, site.taps[0].layout, anatomy, site.taps[0].grid)
        self.state = anatomy.state
        self._delta: Tensor | None = None

    def register(self, site: StreamSite) -> list[RemovableHandle]:
        """Registers on the one tap of a site, or on the two taps of ``mid``."""
        if len(site.taps) == 2:
            norm, block = site.taps
            # d includes prompts, so it is added before a SEQ hook removes them at the exit
            return [
                norm.module.register_forward_pre_hook(self.on_mid_input),
                block.module.register_forward_hook(self.on_mid_output, prepend=True),
            ]
        tap = site.taps[0]
        if tap.side == 'input':
            return [tap.module.register_forward_pre_hook(self.on_input)]
        return [tap.module.register_forward_hook(self.on_output)]

    @unless_muted
    def on_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Adds d to the first input."""
        return (args[0] + self.function(args[0], self.context), *args[1:])

    @unless_muted
    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Adds d to the output."""
        return output + self.function(output, self.context)

    @unless_muted
    def on_mid_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Computes d and adds it to the input of the second branch."""
        self._delta = self.function(args[0], self.context)
        return (args[0] + self._delta, *args[1:])

    @unless_muted
    def on_mid_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Adds the same d to the stream that leaves the block, as a sequence or as a map."""
        delta, self._delta = self._delta, None
        assert delta is not None, 'the second norm did not run'
        return output + delta.reshape(output.shape)


class BranchHook:
    """BRANCH: f -> f + function(g, context), g being f itself or the input of the branch.

    Args:
        site: The branch.
        function: The adapter; it gets g, in the layout the context names.
        anatomy: The encoder's anatomy.
        source: g: ``exit`` (sequential adapter), ``entry_raw`` or ``entry_norm`` (parallel).
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
        seen = entry or self.exit
        self.context = Context(site, seen.layout, anatomy, seen.grid)
        self.state = anatomy.state
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

    @unless_muted
    def on_entry_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Keeps the input of the branch."""
        self._entered = args[0]

    @unless_muted
    def on_entry_output(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Keeps the input of the branch."""
        self._entered = output

    @unless_muted
    def on_exit_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Adds the adapter's result before the module at the exit."""
        return (self._add(args[0]), *args[1:])

    @unless_muted
    def on_exit_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Adds the adapter's result after the module at the exit; attention returns a tuple."""
        if isinstance(output, tuple):
            return (self._add(output[0]), *output[1:])
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
    """PARAM: function() replaces the encoder's parameter while the module that uses it runs.

    Between forward passes the encoder holds its own parameter again, so its state dict and its
    other users see its own weights.
    """

    def __init__(
        self, site: ParamSite, function: Callable[[], nn.Parameter], anatomy: Anatomy
    ) -> None:
        self.function = function
        self.owner = site.owner
        self.name = site.name.rpartition('.')[2]
        self.state = anatomy.state
        self._own: nn.Parameter | None = None

    def register(self, site: ParamSite) -> list[RemovableHandle]:
        """Registers where the use of the parameter begins and ends."""
        user = site.owner if site.user is None else site.user
        if site.until is not None:
            return [
                user.register_forward_pre_hook(self.on_input),
                site.until.register_forward_pre_hook(self.on_last_use),
            ]
        return [  # an error in the call restores the parameter, too
            user.register_forward_pre_hook(self.on_input),
            user.register_forward_hook(self.on_output, always_call=True),
        ]

    @unless_muted
    def on_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Puts the replacement in."""
        if self._own is None:  # else an earlier pass ended with an error
            self._own = self.owner._parameters[self.name]
        self.owner._parameters[self.name] = self.function()

    def on_output(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Puts the encoder's parameter back."""
        self.on_last_use(module, args)

    def on_last_use(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Puts the encoder's parameter back."""
        if self._own is not None:
            self.owner._parameters[self.name] = self._own
        self._own = None


class SeqHook:
    """SEQ: inserts function(x, context) at the entry of one block and removes it at the exit.

    In a sequence the inserted tokens follow the prefix tokens; in a map they lie in rows below it.

    Args:
        site: The block's sequence.
        function: Returns the (B, M, C) tokens to insert.
        anatomy: The encoder's anatomy.
        collect: Gets the (B, M, C) tokens that leave the block: ``collect(tokens, context)``.
        mask: Returns (B, M, T) bool, the tokens of the joined sequence that each inserted token may
            attend to, or None for all: ``mask(x, context)``, where x is the (B, T, C) sequence:
            prefix tokens, tokens of earlier hooks, the inserted tokens, patches.

    Raises:
        UserError: If the block's attention takes no mask.
    """

    def __init__(
        self,
        site: SeqSite,
        function: Callable[..., Tensor],
        anatomy: Anatomy,
        *,
        collect: Callable[[Tensor, Context], None] | None = None,
        mask: Callable[[Tensor, Context], Tensor | None] | None = None,
    ) -> None:
        if mask is not None and not site.takes_mask:
            raise UserError(
                f'{site} of the {anatomy.family!r} encoder takes no mask: {site.why_no_mask}; '
                'expected a plain vision transformer such as DINOv2'
            )
        self.function = function
        self.collect = collect
        self.mask = mask
        self.context = Context(site, site.entry.layout, anatomy, site.entry.grid)
        self.state = anatomy.state
        self._count = 0

    def register(self, site: SeqSite) -> list[Undo]:
        """Registers on the block's entry and exit, and has its attention obey the mask."""
        masking = [] if self.mask is None or site.masking is None else [site.masking(self.state)]
        return [
            site.entry.module.register_forward_pre_hook(self.on_entry),
            site.exit.module.register_forward_hook(self.on_exit),
            *masking,
        ]

    @unless_muted
    def on_entry(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Inserts the tokens."""
        inserted = self.function(args[0], self.context).to(args[0].dtype)
        ahead, held, after = self._split(args[0])
        self._count = inserted.shape[1]
        self.state.num_prompts += self._count
        joined = self._join(ahead, torch.cat((held, inserted), dim=1), after)
        self._take_mask(joined)
        return (joined, *args[1:])

    def _take_mask(self, joined: Tensor) -> None:
        """Sets the mask of the running block, or widens an earlier hook's by this hook's tokens."""
        start, earlier = self.context.num_prefix - self._count, self.state.row_mask
        allowed = None if self.mask is None else self.mask(joined, self.context)
        if allowed is not None:
            self._check_mask(allowed, (len(joined), self._count, joined.shape[1]))
            self.state.row_mask = RowMask(start, allowed)
        elif earlier is not None:
            seen = earlier.allowed.new_ones(*earlier.allowed.shape[:2], self._count)
            parts = earlier.allowed[..., :start], seen, earlier.allowed[..., start:]
            self.state.row_mask = RowMask(earlier.start, torch.cat(parts, dim=2))

    def _check_mask(self, allowed: Tensor, expected: tuple[int, int, int]) -> None:
        site = self.context.site
        if tuple(allowed.shape) != expected or allowed.dtype != torch.bool:
            raise UserError(
                f'{site}: the mask of the inserted tokens is {tuple(allowed.shape)} of '
                f'{allowed.dtype}: expected {expected} (images, tokens, sequence) of torch.bool'
            )
        if self.state.row_mask is not None:
            raise UserError(f'{site}: two hooks give a mask: expected one mask a block')

    @unless_muted
    def on_exit(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Removes the tokens."""
        ahead, tokens, after = self._split(output)
        self.state.num_prompts -= self._count
        self.state.row_mask = None
        if self.collect is not None:
            self.collect(tokens[:, : self._count], self.context)
        # hooks run in the order of their registration: earlier ones have removed their tokens
        return self._join(ahead, tokens[:, self._count :], after)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the tokens ahead of the prompts, the prompts, and the tokens after them."""
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


HOOKS: dict[type[Site], Callable[..., Any]] = {
    OpSite: OutputHook,
    NormSite: OutputHook,
    ParamSite: ParamHook,
    StreamSite: StreamHook,
    BranchSite: BranchHook,
    SeqSite: SeqHook,
    JointSite: InputHook,
}
