"""What mmengine's runner lacks for frozen encoders: exact resume, safe files, few groups."""

from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.engine.hooks import AutocastHook, IterationSeedHook, PatienceHook
from rein_seg.engine.optim import AutocastOptimWrapper, TrainableOptimConstructor
from rein_seg.engine.runner import PEFTRunner

__all__ = [
    'AutocastHook',
    'AutocastOptimWrapper',
    'IterationSeedHook',
    'PEFTRunner',
    'PatienceHook',
    'TrainableEMAHook',
    'TrainableOptimConstructor',
]
