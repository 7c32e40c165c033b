"""Checks the training state in a checkpoint before a run takes it up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from rein_seg.checkpoint import read_checkpoint
from rein_seg.engine.adversarial_optim import each_wrapper
from rein_seg.errors import UserError

# key of a checkpoint -> its name in messages
_PARTS = {
    'meta': 'metadata',
    'message_hub': 'log history',
    'optimizer': 'optimizer state',
    'param_schedulers': 'schedules of the rates',
}


def describe_settings(text: str | None) -> dict[str, str]:
    """Returns the entries of a checkpoint's metadata on the config of its run."""
    return {} if text is None else {'settings': text, 'settings_sha256': settings_sha256(text)}


def settings_sha256(text: str) -> str:
    """Returns the digest of a resolved config."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_meta(path: str) -> dict[str, Any]:
    """Reads the metadata of a checkpoint to go on from.

    Raises:
        UserError: If the file cannot be read, or does not count its iterations as its name does.
    """
    meta = read_checkpoint(path).get('meta')
    meta = dict(meta) if isinstance(meta, Mapping) else {}
    for key in ('iter', 'epoch'):
        value = meta.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UserError(
                f'{path}: meta.{key} is {value!r}, expected a whole number of finished '
                'iterations or epochs: resume from another checkpoint'
            )
    named = re.fullmatch(r'iter_(\d+)\.pth', Path(path).name)
    if named and int(named[1]) != meta['iter']:
        raise UserError(
            f'{path}: meta.iter is {meta["iter"]}, the name of the file says {named[1]}: one of '
            'them was changed; resume from another checkpoint, or give the file its own name again'
        )
    return meta


def check_training_state(
    checkpoint: Mapping[str, Any], wrapper: OptimWrapper, *, source: str
) -> None:
    """Checks that a checkpoint holds all that resuming needs, and an optimizer state that fits.

    Args:
        checkpoint: From `read_checkpoint`.
        wrapper: With the optimizer that will take the state.
        source: Path of the file, for messages.

    Raises:
        UserError: If a part is missing, or the optimizer state is for other parameters.
    """
    for key, name in _PARTS.items():
        if not isinstance(checkpoint.get(key), (Mapping, list)):
            raise UserError(
                f'{source} holds no {name} ({key!r}), so that no run can go on from it: resume '
                f'from another checkpoint, or start a run from its weights: load_from={source}'
            )
    saved = checkpoint['meta'].get('optimizer_states')
    fault = _fault(checkpoint['optimizer'], wrapper, saved)
    if fault:
        raise UserError(
            f'{source}: the optimizer state does not fit the model: {fault}; resume with the '
            f'config and version the file was made with, or start anew: load_from={source}'
        )


def _fault(state: Mapping[str, Any], wrapper: OptimWrapper, saved: int | None) -> str | None:
    """Returns the first way in which the state of one or several optimizers does not fit."""
    wrappers = each_wrapper(wrapper)
    states = {'': state} if '' in wrappers else state
    for name, one in wrappers.items():
        if not isinstance(states.get(name), Mapping):
            return f'it has no state of the {name}'
        fault = _optimizer_fault(states[name], one)
        if fault:
            return f'{name}: {fault}' if name else fault
    found = sum(len(states[name]['state']) for name in wrappers)
    if saved is not None and found != saved:
        return f'it holds moments of {found} tensors, {saved} were saved'
    return None


def _optimizer_fault(state: Mapping[str, Any], wrapper: OptimWrapper) -> str | None:
    """Returns the first way in which the state of an optimizer does not fit, or None."""
    groups, entries = state.get('param_groups'), state.get('state')
    if not isinstance(groups, (list, tuple)) or not isinstance(entries, Mapping):
        return "'param_groups' or 'state' is missing"
    theirs = [len(group.get('params') or ()) for group in groups if isinstance(group, Mapping)]
    ours = [len(group['params']) for group in wrapper.optimizer.param_groups]
    if theirs != ours:
        return f'it has {theirs} tensors in its groups, the model trains {ours}'
    params = dict(enumerate(p for group in wrapper.optimizer.param_groups for p in group['params']))
    for index, entry in entries.items():
        if index not in params or not isinstance(entry, Mapping):
            return f'it has an entry {index!r}, the model trains tensors 0 to {len(params) - 1}'
        for name, value in entry.items():
            fault = isinstance(value, Tensor) and _tensor_fault(value, params[index])
            if fault:
                return f'{name} of tensor {index} {fault}'
    kinds = {tuple(sorted(entry)) for entry in entries.values()}
    return f'tensors have different moments: {sorted(kinds)}' if len(kinds) > 1 else None


def _tensor_fault(value: Tensor, param: Tensor) -> str | None:
    counter = value.dim() == 0  # the number of steps
    if not counter and value.shape != param.shape:
        return f'is {tuple(value.shape)}, expected {tuple(param.shape)}'
    if not counter and value.dtype != param.dtype:
        return f'is {value.dtype}, expected {param.dtype}'
    return None if torch.isfinite(value).all() else 'is not finite'
