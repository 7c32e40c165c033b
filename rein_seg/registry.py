"""Registries. Models register into mmseg's; only methods and anatomies have their own.

A default scope of our own would break mmseg's heads (they look their losses up in the default
scope), so configs use ``default_scope = 'mmseg'`` and everything of ours is found there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from mmengine.registry import MODELS as ENGINE_MODELS
from mmengine.registry import Registry
from torch import Tensor, nn

from rein_seg.errors import UserError, near_misses
from rein_seg.structures import Anatomy

PEFT_METHODS = Registry('peft_method', scope='rein_seg', locations=['rein_seg.peft.methods'])
# names of arguments of methods in version 0.1.0 and today
OLD_ARGUMENTS = {'parts': 'targets', 'roles': 'targets'}

AnatomyFn = Callable[[nn.Module], Anatomy]
KeyMapFn = Callable[[nn.Module, dict[str, Tensor]], Any]
# a class of ours, or the registered name of a class elsewhere, which then is imported on first use
EncoderKey = type | str
ANATOMIES: dict[EncoderKey, AnatomyFn] = {}
KEY_MAPS: dict[EncoderKey, KeyMapFn] = {}
Function = TypeVar('Function', bound=Callable)
Class = TypeVar('Class', bound=type)
WholeFileFn = Callable[..., str]
# (recognises a state dict, loads it): checkpoints of other programs that hold whole systems
WHOLE_FILES: list[tuple[Callable[[Mapping[str, Tensor]], bool], WholeFileFn]] = []
# classes whose paper could not be read -> what is whose
RECONSTRUCTIONS: dict[type, str] = {}


def reconstruction(note: str) -> Callable[[Class], Class]:
    """Marks a class whose content is ours because its paper's details could not be read.

    The results of a run name such classes.

    Args:
        note: What is the paper's, and what is ours.

    Example:
        >>> from torch import nn
        >>> from rein_seg.registry import reconstruction, reconstructions
        >>> @reconstruction('named as in its paper, the content is ours')
        ... class Known(nn.Linear): ...
        >>> reconstructions(nn.Sequential(Known(2, 2)))
        {'Known': 'named as in its paper, the content is ours'}
    """

    def mark(cls: Class) -> Class:
        RECONSTRUCTIONS[cls] = note
        return cls

    return mark


def reconstructions(model: nn.Module) -> dict[str, str]:
    """Returns class -> note of the modules of a model that are reconstructions."""
    classes = dict.fromkeys(type(module) for module in model.modules())
    return {cls.__name__: RECONSTRUCTIONS[cls] for cls in classes if cls in RECONSTRUCTIONS}


def registered_name(cls: type) -> str:
    """Returns the name that a config gives a model class, with its scope.

    Adapters and anatomies name an encoder by it: a class may move to another file, its registered
    name stays. A scope is needed because packages share names (mmseg and mmpretrain both have a
    `ResNet`). Our own classes register in mmseg's registry; their scope is ``rein_seg``.

    Args:
        cls: A class in a registry of models. Any other class is named by its package and name.

    Example:
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.registry import registered_name
        >>> registered_name(TinyViT)
        'rein_seg.TinyViT'
    """
    package = _package(cls)
    for registry in _with_children(ENGINE_MODELS):
        names = [name for name, known in registry.module_dict.items() if known is cls]
        if names:
            name = cls.__name__ if cls.__name__ in names else names[0]
            return f'{"rein_seg" if package == "rein_seg" else registry.scope}.{name}'
    return f'{package}.{cls.__name__}'


def name_from_path(path: str) -> str:
    """Returns the registered name of a class from its path at some time in the past.

    The class may have moved inside its package since. A class that is not registered (yet) is named
    by its package and name.

    Example:
        >>> import rein_seg.encoders
        >>> from rein_seg.registry import name_from_path
        >>> name_from_path('rein_seg.an_old_file.TinyViT')
        'rein_seg.TinyViT'
    """
    package, name = path.partition('.')[0], path.rpartition('.')[2]
    for registry in _with_children(ENGINE_MODELS):
        for cls in registry.module_dict.values():
            if (_package(cls), cls.__name__) == (package, name):
                return registered_name(cls)
    return f'{package}.{name}'


def registered_class(name: str) -> type | None:
    """Returns the class of a registered name with its scope; None if its package is not imported.

    Example:
        >>> import rein_seg.encoders
        >>> from rein_seg.registry import registered_class
        >>> registered_class('rein_seg.TinyViT').__name__
        'TinyViT'
    """
    known = (cls for reg in _with_children(ENGINE_MODELS) for cls in reg.module_dict.values())
    short = name.rpartition('.')[2]
    return next((c for c in known if c.__name__ == short and registered_name(c) == name), None)


def _package(cls: type) -> str:
    return cls.__module__.partition('.')[0]


def _with_children(registry: Registry) -> Iterator[Registry]:
    yield registry
    for child in registry.children.values():
        yield from _with_children(child)


def register_anatomy(*encoders: EncoderKey) -> Callable[[Function], Function]:
    """Registers a function encoder -> `Anatomy` for encoder classes.

    Args:
        *encoders: Our own classes, or registered names with their scope, such as
            ``mmpretrain.ConvNeXt``: a name costs no import until the encoder is used.

    Example:
        >>> from rein_seg.registry import ANATOMIES, register_anatomy
        >>> @register_anatomy('mmpretrain.MobileOne')
        ... def mobile_one_anatomy(encoder):
        ...     raise NotImplementedError
        >>> ANATOMIES.pop('mmpretrain.MobileOne') is mobile_one_anatomy
        True
    """
    return _register(ANATOMIES, encoders)


def register_key_map(*encoders: EncoderKey) -> Callable[[Function], Function]:
    """Registers a function (encoder, state dict as downloaded) -> `Converted` for encoder classes.

    Args:
        *encoders: As for `register_anatomy`.

    Example:
        >>> from rein_seg.registry import KEY_MAPS, register_key_map
        >>> @register_key_map('mmpretrain.MobileOne')
        ... def mobile_one_weights(encoder, state):
        ...     raise NotImplementedError
        >>> KEY_MAPS.pop('mmpretrain.MobileOne') is mobile_one_weights
        True
    """
    return _register(KEY_MAPS, encoders)


def register_whole_file(
    recognises: Callable[[Mapping[str, Tensor]], bool],
) -> Callable[[Function], Function]:
    """Registers a loader of official checkpoints that hold encoder, method and head together.

    The loader takes (state, model, source=...), with source the file's name for messages, and
    returns the coverage report.

    Args:
        recognises: Says whether a state dict has the layout.

    Example:
        >>> from rein_seg.registry import WHOLE_FILES, register_whole_file
        >>> @register_whole_file(lambda state: 'net.stem' in state)
        ... def load_toy(state, model, *, source): ...
        >>> WHOLE_FILES.pop()[1] is load_toy
        True
    """

    def register(function: Function) -> Function:
        WHOLE_FILES.append((recognises, function))
        return function

    return register


def _register(table: dict, keys: Sequence[EncoderKey]) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        table.update(dict.fromkeys(keys, function))
        return function

    return register


def anatomy_function(encoder: nn.Module) -> AnatomyFn | None:
    """Returns the function registered for an encoder's exact class, or None.

    Example:
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.registry import anatomy_function
        >>> anatomy_function(TinyViT()).__name__
        'vit_anatomy'
    """
    return _find(ANATOMIES, type(encoder))


def key_map(encoder: nn.Module) -> KeyMapFn | None:
    """Returns the key map registered for an encoder's exact class, or None.

    Example:
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.registry import key_map
        >>> key_map(TinyViT()).__name__
        'convert_tiny_vit'
    """
    return _find(KEY_MAPS, type(encoder))


def _find(table: Mapping[EncoderKey, Any], cls: type) -> Any:
    return table.get(cls) or table.get(registered_name(cls))


def build_with_hints(cls: type, args: dict, *, what: str) -> nn.Module:
    """Calls ``cls(**args)``, turning an unknown argument into one clear error.

    Args:
        cls: The class.
        args: Its keyword arguments, from a config.
        what: Name of the thing in the message, such as ``peft method 'LoRA'``.

    Raises:
        UserError: If ``cls`` does not take one of ``args``; the message names the near misses.

    Example:
        >>> from torch import nn
        >>> from rein_seg.registry import build_with_hints
        >>> build_with_hints(nn.Linear, dict(in_features=2, out_features=3), what='layer')
        Linear(in_features=2, out_features=3, bias=True)
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
        UserError: If ``type`` is missing or not registered, or the method does not take an
            argument.

    Example:
        >>> from rein_seg.registry import build_method
        >>> method = build_method(dict(type='LoRA', targets=['q', 'v'], rank=8))
        >>> type(method).__name__, method.targets
        ('LoRA', ('q', 'v'))
    """
    args = dict(cfg)
    PEFT_METHODS.import_from_location()
    known = PEFT_METHODS.module_dict
    name = args.pop('type', None)
    if name not in known:
        raise UserError(
            f'peft type={name!r} is not a registered method; {near_misses(str(name), known)}'
        )
    taken = inspect.signature(known[name]).parameters
    for old in (OLD_ARGUMENTS.keys() & args.keys()) - taken.keys():
        raise UserError(
            f'{name} takes no {old!r}: it is called {OLD_ARGUMENTS[old]}={args[old]!r} now'
        )
    needed = [key for key, p in taken.items() if p.default is p.empty and p.kind != p.VAR_KEYWORD]
    for key in set(needed) - args.keys():
        raise UserError(f'peft method {name!r} needs {key}: give dict(type={name!r}, {key}=...)')
    return build_with_hints(known[name], args, what=f'peft method {name!r}')


def method_class(name: str) -> type | None:
    """Returns the class of a registered method, None if there is none.

    `Registry.get` would take ``os.system``, or a name in an adapter file, for a Python object and
    import it.

    Example:
        >>> from rein_seg.registry import method_class
        >>> method_class('LoRA').__name__, method_class('os.system')
        ('LoRA', None)
    """
    PEFT_METHODS.import_from_location()
    return PEFT_METHODS.module_dict.get(name)


def describe_method(cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
    """Returns a method's config with the defaults of the arguments it leaves out.

    Configs that build the same method have the same description; adapters are compared by it.

    Args:
        cfg: Config of a method, or a list of them, whose description is a list.

    Example:
        >>> from rein_seg.registry import describe_method
        >>> describe_method(dict(type='VPT', num_tokens=10))['dropout']
        0.0
    """
    PEFT_METHODS.import_from_location()
    if not isinstance(cfg, Mapping):
        return [describe_method(one) for one in cfg] if len(cfg) > 1 else describe_method(cfg[0])
    args = dict(cfg)
    name = args.pop('type')
    return {'type': name, **with_defaults(PEFT_METHODS.module_dict[name], args)}


def with_defaults(cls: type, args: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``args`` and the defaults of all other arguments of a class.

    Example:
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.registry import with_defaults
        >>> with_defaults(TinyViT, dict(img_size=64))['patch_size']
        8
    """
    parameters = inspect.signature(cls).parameters
    empty = inspect.Parameter.empty
    defaults = {name: p.default for name, p in parameters.items() if p.default is not empty}
    return {**defaults, **args}
