"""Compares the resolved config of a run with the config that it is resumed with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rein_seg.config.differences import Difference, differences

# settings that change no result: logging, workers, keeping of files, machine, paths, tests
_SILENT = re.compile(
    r'default_hooks\.(logger|timer|visualization|sampler_seed)\b.*'
    r'|default_hooks\.checkpoint\.(interval|max_keep_ckpts|save_last|save_begin|out_dir|type)'
    r'|(log_level|log_processor|vis_backends|visualizer|env_cfg|launcher|model_wrapper_cfg'
    r'|compile|custom_imports|experiment_name|work_dir|load_from|resume|comparison)\b.*'
    r'|(.*\.)?(num_workers|persistent_workers|pin_memory|prefetch_factor'
    r'|multiprocessing_context|activation_checkpointing)'
    r'|(.*\.)?(data_root|cache_dir|checkpoint|checkpoint_url)'
    r'|test_(dataloader|evaluator|cfg)\b.*'
    r'|randomness\.seed'  # the runner compares the seed itself, which the config may leave open
)
# settings that a resumed run may change, and that its files name: length, validation, choice
_RECORDED = re.compile(
    r'(train_cfg\.)?max_iters|epochs|train_cfg\.(val_interval|val_begin|dynamic_intervals)'
    r'|val_(dataloader|evaluator|cfg)\b.*'
    r'|default_hooks\.(checkpoint|early_stopping)\b.*'
)
_END = re.compile(r'param_scheduler\.\d+\.end')
_AUTOCAST = ('AutocastOptimWrapper', 'AutocastHook')


def settings_text(config: Mapping[str, Any]) -> str:
    """Returns a resolved config as JSON: the same text for the same settings.

    Example:
        >>> from rein_seg.config.settings import settings_text
        >>> settings_text({'size': (2, 3), 'lr': 0.1})
        '{"lr": 0.1, "size": [2, 3]}'
    """
    return json.dumps(config, sort_keys=True, default=_name)


def changed_settings(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[list[Difference], list[Difference]]:
    """Returns the changes that a resumed run refuses, and those it applies and records.

    Args:
        before: The resolved config of the run so far, with ``processes``, the number of them.
        now: The resolved config that it is resumed with, likewise.

    Example:
        >>> from rein_seg.config.settings import changed_settings
        >>> before = {'max_iters': 320, 'log_level': 'INFO', 'ema': {'momentum': 0.1}}
        >>> now = {'max_iters': 640, 'log_level': 'WARNING', 'ema': {'momentum': 0.2}}
        >>> changed_settings(before, now)
        ([Difference(key='ema.momentum', old='0.1', new='0.2')],
        [Difference(key='max_iters', old='320', new='640')])
    """
    found = [d for d in differences(_plain(before), _plain(now)) if not _SILENT.fullmatch(d.key)]
    length = {(_length(before), _length(now))}
    recorded = [d for d in found if _RECORDED.fullmatch(d.key) or d.key == 'processes']
    with_length = [d for d in found if _END.fullmatch(d.key) and (d.old, d.new) in length]
    refused = [d for d in found if d not in recorded and d not in with_length]
    return refused, recorded


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config with autocast and the batch over all processes in one place each."""
    config = json.loads(settings_text(config))
    wrapper, loader = config.get('optim_wrapper') or {}, config.get('train_dataloader') or {}
    amp = wrapper.get('type') == _AUTOCAST[0]
    if amp:
        wrapper['type'] = 'OptimWrapper'
    elif 'type' not in wrapper and wrapper:
        wrapper['type'] = 'OptimWrapper'  # the default
    hooks = config.get('custom_hooks') or []
    config['custom_hooks'] = [hook for hook in hooks if hook.get('type') != _AUTOCAST[1]]
    if 'batch_size' in loader:
        # PyTorch splits the batch: 4 processes with 1 image each see the data of 1 process with 4
        loader['batch_size'] *= config.get('processes', 1)
    return {'amp': amp, **config}


def _length(config: Mapping[str, Any]) -> str:
    return repr((config.get('train_cfg') or {}).get('max_iters', config.get('max_iters')))


def _name(value: Any) -> str:
    """Returns a text for what JSON cannot hold, the same in each process."""
    return getattr(value, '__qualname__', None) or str(value)


def by_iteration(changes: list[Difference], iteration: int) -> Iterator[str]:
    """Yields the records of settings that a run changed after ``iteration`` iterations.

    Example:
        >>> from rein_seg.config.differences import Difference
        >>> from rein_seg.config.settings import by_iteration
        >>> list(by_iteration([Difference('train_cfg.max_iters', '4', '6')], 2))
        ['until iteration 2: max_iters 4']
    """
    texts = [f'{change.key.removeprefix("train_cfg.")} {change.old}' for change in changes]
    yield from (f'until iteration {iteration}: {text}' for text in dict.fromkeys(texts))
