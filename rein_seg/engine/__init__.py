"""Additions to mmengine's runner: exact resume, safe files, optimizers for frozen encoders."""

from rein_seg.engine.adversarial_optim import AdversarialOptimConstructor
from rein_seg.engine.checkpoint_hook import CheckpointHook
from rein_seg.engine.ema import TrainableEMAHook
from rein_seg.engine.hooks import AutocastHook, IterationSeedHook, PatienceHook
from rein_seg.engine.linear_cosine import LinearCosineLR
from rein_seg.engine.mask_annealing import MaskAnnealingHook
from rein_seg.engine.optim import AutocastOptimWrapper, TrainableOptimConstructor
from rein_seg.engine.runner import PEFTRunner
from rein_seg.engine.show import ShowPredictionsHook
from rein_seg.engine.trackers import RunMLflowBackend, RunWandbBackend
from rein_seg.engine.two_stage import TwoStagePolyLR
from rein_seg.engine.warmup_cosine import WarmupCosineLR

__all__ = [
    'AdversarialOptimConstructor',
    'AutocastHook',
    'AutocastOptimWrapper',
    'CheckpointHook',
    'IterationSeedHook',
    'LinearCosineLR',
    'MaskAnnealingHook',
    'PEFTRunner',
    'PatienceHook',
    'RunMLflowBackend',
    'RunWandbBackend',
    'ShowPredictionsHook',
    'TrainableEMAHook',
    'TrainableOptimConstructor',
    'TwoStagePolyLR',
    'WarmupCosineLR',
]
