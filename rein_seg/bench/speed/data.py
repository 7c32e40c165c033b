"""Time to make a batch of a config's training data: read, or drawn, and augmented."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from rein_seg.config.config_paths import LOADERS, datasets_of
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError
from rein_seg.fast.dispatch import without
from rein_seg.fast.switches import FORMS
from rein_seg.timing import compare, interleave

_FULL = 'all forms'


def time_data(
    cfg: Config,
    *,
    batch: int,
    repeats: int,
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Times a config's training loader without workers: the work of one worker for a batch.

    Args:
        cfg: Completed config.
        batch: Images a batch.
        repeats: Counted batches, after the first.
        left_out: Name -> fast forms to leave out, to read the same batches once more without them;
            entries without a form that reads data are passed over.

    Returns:
        ``seconds`` of a batch, the median, and ``workers`` of the config, which share the work; or
        ``not_measured``, the reason. ``without``: by name of ``left_out`` ``seconds``, and
        ``ratio`` to all forms with ``ratio_range``.
    """
    loader = cfg.get('train_dataloader')
    if not loader:
        return {'not_measured': 'the config has no train_dataloader'}
    for dataset in datasets_of(cfg, LOADERS[:1]):
        root = dataset.get('data_root')
        if root is None or not Path(root).is_dir():
            return {'not_measured': f'data_root {root!r} is not there'}
    plain = {**loader.to_dict(), 'batch_size': batch, 'num_workers': 0}
    plain.pop('prefetch_factor', None)
    reading = {name for name, form in FORMS.items() if any(map(_reads, form.forms))}
    others = {name: forms for name, forms in (left_out or {}).items() if reading & {*forms}}
    try:
        measured = interleave(
            {
                name: partial(_next, _endless(PEFTRunner.build_dataloader(plain, seed=0)), forms)
                for name, forms in {_FULL: (), **others}.items()
            },
            repeats=repeats,
            device=torch.device('cpu'),
            memory=False,
        )
    except (UserError, OSError) as error:
        return {'not_measured': str(error)}
    figures = compare(measured, _FULL)
    return {
        'seconds': figures.pop(_FULL)['seconds'],
        'workers': int(loader.get('num_workers', 0)),
        'without': {
            name: {
                'seconds': one['seconds'],
                'ratio': one['time_ratio'],
                'ratio_range': one['time_ratio_range'],
            }
            for name, one in figures.items()
        },
    }


def _reads(place: str) -> bool:
    return place.startswith('rein_seg.datasets.')


def _next(batches: Iterator[Any], forms: Sequence[str]) -> Any:
    with without(*forms) if forms else contextlib.nullcontext():
        return next(batches)


def _endless(loader: DataLoader) -> Iterator[Any]:
    """Yields the batches of all epochs.

    Raises:
        UserError: If an epoch has no batch.
    """
    while True:
        batch = None
        for batch in loader:
            yield batch
        if batch is None:
            raise UserError('the data set has too few images for a batch')
