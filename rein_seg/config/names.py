"""Checks of the words of a config, and the registries of its parts."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
    Registry,
)

from rein_seg.config.config_paths import LOADERS
from rein_seg.config.registered import SCOPES, is_registered
from rein_seg.config.schema.keys import KEYS
from rein_seg.config.source import Source
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import PEFT_METHODS

_SECTIONS = {
    'val_evaluator': METRICS,
    'test_evaluator': METRICS,
    'train_cfg': LOOPS,
    'val_cfg': LOOPS,
    'test_cfg': LOOPS,
    'default_hooks': HOOKS,
    'custom_hooks': HOOKS,
    'param_scheduler': PARAM_SCHEDULERS,
    'visualizer': VISUALIZERS,
}
_BUILT_BY = {'type', 'constructor', 'runner_type'}
_NEAR = 0.86  # share of letters in common: `targets` is a variable, `optim_wraper` a slip


def registry_of(place: str) -> Registry | None:
    """Returns the registry that builds the part of a config at a dotted key, None for a plain dict.

    Example:
        >>> from rein_seg.config.names import registry_of
        >>> registry_of('train_dataloader.dataset.pipeline.2').name
        'transform'
        >>> registry_of('env_cfg') is None
        True
    """
    first, *keys = place.split('.')
    if first == 'model':
        return PEFT_METHODS if 'peft' in keys else MODELS
    if first in LOADERS:
        kinds = {'sampler': DATA_SAMPLERS, 'pipeline': TRANSFORMS, 'dataset': DATASETS}
        return next((registry for key, registry in kinds.items() if key in keys), None)
    if first == 'optim_wrapper':
        return OPTIMIZERS if 'optimizer' in keys else None
    return _SECTIONS.get(first)


def check_words(cfg: Config, source: Source) -> None:
    """Checks the top-level names of a config, and drops variables of its files, in place.

    Args:
        cfg: The config.
        source: Its files. Where their names are not known, a name close to a word is an error.

    Raises:
        UserError: For a name that nothing reads.
    """
    for name in [name for name in cfg if name not in KEYS]:
        unread = source.unread is not None and name in source.unread
        close = difflib.get_close_matches(name, KEYS, n=1, cutoff=_NEAR)
        slip = unread or (close and name not in source.variables)
        if _imported(cfg, name):
            continue
        if slip and name in source.variables:
            raise UserError(
                f'the config sets {name!r} too late: its bases have read it; set the keys that '
                'take its value, which rein-seg show CONFIG lists'
            )
        if slip:
            raise UserError(
                f'the config has {name!r}, which nothing reads; '
                f'{near_misses(name, KEYS, most=1, otherwise="remove it, or use it in the file")}'
            )
        cfg.pop(name)


def check_types(cfg: Config) -> None:
    """Checks that a type is no Python module and no path to a Python object.

    mmengine takes any path to a Python object for a type, such as ``os.system``, and imports its
    first word: a config in JSON or an option could run any code.

    Raises:
        UserError: For the first type that is not registered.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.config.names import check_types
        >>> check_types(Config(dict(vis_backends=[dict(type='os.system', command='ls')])))
        Traceback (most recent call last):
        rein_seg.errors.UserError: vis_backends.0.type='os.system' is a path to a Python object,
        expected a registered name such as 'mmpretrain.ConvNeXt': register the class, and import its
        file by custom_imports
    """
    for place, value in _values(cfg.to_dict(), ''):
        if place.rpartition('.')[2] in _BUILT_BY:
            _check_type(place, value)


def _values(part: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields dotted key and value of everything, also in lists of lists."""
    parts = part.items() if isinstance(part, Mapping) else enumerate(part)
    for key, value in parts:
        here = f'{place}.{key}'.lstrip('.')
        if isinstance(value, (Mapping, list, tuple)):
            yield from _values(value, here)
        else:
            yield here, value


def _check_type(place: str, name: Any) -> None:
    if not isinstance(name, str) or not name:
        return
    scope, _, short = name.partition('.')
    if not short:
        if name.isidentifier() and find_spec(name) is not None and not is_registered(name):
            raise UserError(
                f'{place}={name!r} is a Python module, expected the registered name of a class'
            )
        return
    # a name that its package does not hold is a registered name, or is reported as unknown
    if scope in SCOPES and '.' not in short and not hasattr(import_module(scope), short):
        return
    raise UserError(
        f'{place}={name!r} is a path to a Python object, expected a registered name such as '
        "'mmpretrain.ConvNeXt': register the class, and import its file by custom_imports"
    )


def _imported(cfg: Config, name: str) -> bool:
    """Says whether a module of the user's own names a word of the config."""
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    named = [imports] if isinstance(imports, str) else imports
    own = [module for module in named if module.partition('.')[0] != 'rein_seg']
    files = [getattr(sys.modules.get(module), '__file__', None) for module in own]
    return any(name in Path(file).read_text(encoding='utf-8') for file in files if file)
