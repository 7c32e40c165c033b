"""Registries. Models register into mmseg's; only methods and anatomies have their own.

A default scope of our own would break mmseg's heads (they look their losses up in the default
scope), so configs use ``default_scope = 'mmseg'`` and everything of ours is found there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.registry import Registry
from torch import Tensor, nn

from rein_seg.errors import UserError, near_misses
from rein_seg.structures import Anatomy

PEFT_METHODS = Registry('peft_method', scope='rein_seg', locations=['rein_seg.peft'])

AnatomyFn = Callable[[nn.Module], Anatomy]
ANATOMIES: dict[str, AnatomyFn] = {}

KeyMapFn = Callable[[nn.Module, dict[str, Tensor]], Any]
KEY_MAPS: dict[str, KeyMapFn] = {}


def class_name(module: nn.Module) -> str:
    """Returns the full class name that anatomies and key maps are registered under."""
    return f'{type(module).__module__}.{type(module).__qualname__}'


def register_anatomy(*class_names: str) -> Callable[[AnatomyFn], AnatomyFn]:
    """Registers a function encoder -> `Anatomy` for encoder classes.

    Args:
        *class_names: Full class names, such as ``mmpretrain.models.backbones.convnext.ConvNeXt``;
            names, not classes, so that a family costs no import until it is used.
    """

    def register(function: AnatomyFn) -> AnatomyFn:
        for name in class_names:
            ANATOMIES[name] = function
        return function

    return register


def register_key_map(*class_names: str) -> Callable[[KeyMapFn], KeyMapFn]:
    """Registers a function (encoder, state dict as downloaded) -> `Converted` for encoder classes.

    Args:
        *class_names: Full class names, as for `register_anatomy`.
    """

    def register(function: KeyMapFn) -> KeyMapFn:
        for name in class_names:
            KEY_MAPS[name] = function
        return function

    return register


def key_map(module: nn.Module) -> KeyMapFn | None:
    """Returns the key map of a module's class, or None where it has none."""
    return KEY_MAPS.get(class_name(module))


def build_with_hints(cls: type, args: dict, *, what: str) -> nn.Module:
    """Calls ``cls(**args)``, turning an unknown argument into one clear error.

    Args:
        cls: The class.
        args: Its keyword arguments, from a config.
        what: How to call the thing in the message, such as ``peft method 'LoRA'``.

    Raises:
        UserError: If ``args`` names arguments that ``cls`` does not take; names the near misses.
    """
    parameters = inspect.signature(cls).parameters
    taken = [name for name in parameters if name != 'self']
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    unknown = [] if open_ended else [name for name in args if name not in taken]
    if unknown:
        hints = '; '.join(f'{name!r}: {near_misses(name, taken)}' for name in unknown)
        raise UserError(f'{what} takes no {", ".join(map(repr, unknown))} ({hints})')
    return cls(**args)


def build_method(cfg: Mapping[str, Any]) -> nn.Module:
    """Builds a PEFT method from its config.

    Raises:
        UserError: If ``type`` is missing or not registered, or an argument is not one it takes.
    """
    args = dict(cfg)
    PEFT_METHODS.import_from_location()
    known = PEFT_METHODS.module_dict
    name = args.pop('type', None)
    if name not in known:
        raise UserError(
            f'peft type={name!r} is not a registered method; {near_misses(str(name), known)}'
        )
    return build_with_hints(known[name], args, what=f'peft method {name!r}')


def describe_method(cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
    """Returns a method's config with the defaults of the arguments it leaves out.

    Two configs that build the same method describe it equally: what adapters are compared by.

    Args:
        cfg: Config of a method, or of several, which give a list.
    """
    if not isinstance(cfg, Mapping):
        return [describe_method(one) for one in cfg] if len(cfg) > 1 else describe_method(cfg[0])
    args = dict(cfg)
    name = args.pop('type')
    return {'type': name, **with_defaults(PEFT_METHODS.module_dict[name], args)}


def with_defaults(cls: type, args: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a class with the defaults of those that are left out."""
    parameters = inspect.signature(cls).parameters
    empty = inspect.Parameter.empty
    defaults = {name: p.default for name, p in parameters.items() if p.default is not empty}
    return {**defaults, **args}
