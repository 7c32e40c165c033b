"""How long the training data of a config take to come: read, or drawn, and augmented."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rein_seg.config.config_paths import LOADERS, datasets_of
from rein_seg.engine.runner import PEFTRunner
from rein_seg.errors import UserError


def time_data(cfg: Config, *, batch: int, repeats: int) -> dict[str, Any]:
    """Times a config's training loader without workers: what one of them does for a batch.

    Args:
        cfg: Completed config.
        batch: Images a batch.
        repeats: Counted batches; one first is not counted.

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
    seconds = []
    try:
        batches = iter(PEFTRunner.build_dataloader(plain, seed=0))
        for _ in range(repeats + 1):
            start = time.perf_counter()
            next(batches)
            seconds.append(time.perf_counter() - start)
    except (UserError, OSError, StopIteration) as error:
        if len(seconds) < 2:
            return {'not_measured': str(error) or 'the data set has too few images'}
    return {
        'seconds': statistics.median(seconds[1:]),
        'workers': int(loader.get('num_workers', 0)),
    }
