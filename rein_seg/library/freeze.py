"""Freezes a module but for a method and chosen parts, and keeps frozen parts in eval mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

from rein_seg.errors import UserError, near_misses


class TrainCall:
    """The ``train`` of a module with frozen parts, which stay in eval mode.

    Batch norms would else change their statistics, and dropout would add noise to features that
    nothing adapts.

    Args:
        module: The module.
        frozen: Modules that stay in eval mode.
    """

    def __init__(self, module: nn.Module, frozen: Sequence[nn.Module]) -> None:
        self.module = module
        self.frozen = list(frozen)

    def __call__(self, mode: bool = True) -> nn.Module:
        """Sets the mode of the rest; returns the module."""
        type(self.module).train(self.module, mode)
        for part in self.frozen:
            part.training = False
        return self.module


class Frozen:
    """What `freeze` changed in a module, to be undone.

    Attributes:
        modules: The modules whose ``train`` keeps frozen parts in eval mode.
        flags: Each parameter and its former ``requires_grad``.
    """

    def __init__(self, modules: Sequence[nn.Module], frozen: Sequence[nn.Module]) -> None:
        self.modules = list(modules)
        self.flags = [(p, p.requires_grad) for p in modules[0].parameters()]
        for module in self.modules:
            train: Any = TrainCall(module, frozen)
            module.train = train  # type: ignore[method-assign]
        for part in frozen:
            part.training = False

    def undo(self) -> None:
        """Gives parameters and modules their former behaviour."""
        for param, flag in self.flags:
            param.requires_grad_(flag)
        for module in self.modules:
            del module.train


def chosen_parameters(module: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """Returns the parameters of a module under names of parameters or of modules in it.

    Raises:
        UserError: If a name is neither.

    Example:
        >>> from torch import nn
        >>> from rein_seg.library.freeze import chosen_parameters
        >>> list(chosen_parameters(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), ['0']))
        ['0.weight', '0.bias']
    """
    own = dict(module.named_parameters())
    chosen: dict[str, nn.Parameter] = {}
    for name in names:
        under = {key: p for key, p in own.items() if key == name or key.startswith(f'{name}.')}
        if not under:
            known = {*own, *(path for path, _ in module.named_modules() if path)}
            hint = near_misses(name, known, otherwise='module.named_parameters() lists them')
            raise UserError(
                f'attach: trainable={name!r} is neither a parameter nor a module with parameters '
                f'in {type(module).__name__}; {hint}'
            )
        chosen |= under
    return chosen


def frozen_modules(
    module: nn.Module,
    encoder: nn.Module,
    names: Iterable[str],
    *,
    follows: bool,
) -> list[nn.Module]:
    """Returns the modules that stay in eval mode.

    Args:
        module: The module.
        encoder: The encoder in it, or itself.
        names: Trainable parameters and modules; these follow ``train()``.
        follows: Whether the encoder follows ``train()``, too.
    """
    moving = {id(part) for name in names for part in _under(module, name)}
    if follows:
        moving |= {id(part) for part in encoder.modules()}
    inside = {id(part) for part in encoder.modules()}
    return [
        part
        for part in module.modules()
        if id(part) not in moving
        # a module around the encoder follows: its forward may ask for the mode
        and (id(part) in inside or not any(sub is encoder for sub in part.modules()))
    ]


def _under(module: nn.Module, name: str) -> Iterator[nn.Module]:
    modules = dict(module.named_modules())
    if name in modules:
        yield from modules[name].modules()
    else:  # a parameter
        yield modules[name.rpartition('.')[0]]
