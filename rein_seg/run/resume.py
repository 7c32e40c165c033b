"""The checkpoint that a run goes on from: whole, and of the same settings."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.logging import print_log

from rein_seg.config.settings import by_iteration, changed_settings
from rein_seg.engine.checkpoint_files import checkpoints, iteration_of
from rein_seg.engine.training_state import read_meta, settings_sha256
from rein_seg.errors import UserError

_SHOWN = 3  # changes in a message


def read_start(path: str) -> dict[str, Any]:
    """Reads the metadata of the checkpoint to go on from.

    Raises:
        UserError: If it cannot be read; the message names the newest older checkpoint that can.
    """
    try:
        return read_meta(path)
    except UserError as error:
        older = _older(Path(path))
        if not older:
            raise
        whole = next((other for other in older if _is_whole(other)), None)
        way_out = (
            f'no older one in {Path(path).parent} can be read, start again without --resume'
            if whole is None
            else f'{whole} is whole: go on with --resume-from {whole}'
        )
        raise UserError(f'{error}; {way_out}') from error


def _older(path: Path) -> list[Path]:
    found = checkpoints(path.parent)
    return [p for p in found if path not in found or iteration_of(p) < iteration_of(path)]


def _is_whole(path: Path) -> bool:
    try:
        read_meta(str(path))
    except UserError:
        return False
    return True


def check_settings(meta: Mapping[str, Any], config: Mapping[str, Any], path: str) -> list[str]:
    """Checks that a run is resumed with the settings it was begun with.

    Args:
        meta: Metadata of the checkpoint.
        config: The resolved config of now.
        path: The checkpoint, for messages.

    Returns:
        Records of the settings that may change: ``until iteration 4: max_iters 4``.

    Raises:
        UserError: If the settings differ in what a result depends on, or the run is to end before
            the checkpoint.
    """
    text = meta.get('settings')
    if text is None:
        print_log(
            f'{path} holds no digest of its config: whether the run was begun with the same '
            'settings is not known',
            logger='current',
            level=logging.WARNING,
        )
        return [f'until iteration {meta["iter"]}: settings not recorded']
    if settings_sha256(text) != meta.get('settings_sha256'):
        raise UserError(
            f'{path}: the config in it is not the one of its digest, the file was changed after '
            'it was written: copy it again, or resume from another checkpoint'
        )
    before = {**json.loads(text), 'processes': meta.get('processes', 1)}
    now = {**config, 'processes': dist.get_world_size()}
    refused, recorded = changed_settings(before, now)
    if refused:
        told = '; '.join(f'{d.key} is {d.old} there, {d.new} now' for d in refused[:_SHOWN])
        more = f' (and {len(refused) - _SHOWN} more)' if len(refused) > _SHOWN else ''
        raise UserError(
            f'{path} is of a run with other settings: {told}{more}; resume it as it was begun, or '
            'start another run with another --work-dir'
        )
    iteration, length = meta['iter'], (config.get('train_cfg') or {}).get('max_iters')
    if length is not None and length < iteration:
        raise UserError(
            f'max_iters={length} ends before iteration {iteration} of {path}: train longer, or '
            f'test that file: rein-seg test CONFIG {path}'
        )
    return list(by_iteration(recorded, iteration))
