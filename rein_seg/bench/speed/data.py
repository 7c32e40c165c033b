"""Time to make a batch of a config's training data: read, or drawn, and augmented."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from rein_seg.config.config_paths import LOADERS, datasets_of
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError
from rein_seg.timing import interleave


def time_data(cfg: Config, *, batch: int, repeats: int) -> dict[str, Any]:
    """Times a config's training loader without workers: the work of one worker for a batch.

    Args:
        cfg: Completed config.
        batch: Images a batch.
        repeats: Counted batches, after the first.

    Returns:
        ``seconds`` of a batch, the median, and ``workers`` of the config, which share the work; or
        ``not_measured``, the reason.
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
    try:
        batches = _endless(PEFTRunner.build_dataloader(plain, seed=0))
        measured = interleave(
            {'batch': lambda: next(batches)},
            repeats=repeats,
            device=torch.device('cpu'),
            memory=False,
        )
    except (UserError, OSError) as error:
        return {'not_measured': str(error)}
    return {
        'seconds': statistics.median(measured['batch'].seconds),
        'workers': int(loader.get('num_workers', 0)),
    }


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
