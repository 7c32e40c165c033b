"""Hooks of the training and test loops."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from rein_seg.datasets.stream import seed_everything, stream_seed


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seeds the random numbers of a training step from (seed, iteration, rank).

    Dropout and sampled points are then the same whether a run was interrupted, or validated in
    between, or not: no generator state has to be saved.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds Python, numpy and torch."""
        rank, world_size = get_dist_info()
        seed_everything(stream_seed(runner.seed, runner.iter * world_size + rank))


@HOOKS.register_module()
class AutocastHook(Hook):
    """Runs validation and test steps under autocast, as training with ``--amp`` does.

    Args:
        dtype: Name of the type of matrix products.
    """

    def __init__(self, dtype: str = 'bfloat16') -> None:
        self.dtype = getattr(torch, dtype)
        self._context: torch.autocast | None = None

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Enters autocast."""
        self._context = torch.autocast(get_device(), dtype=self.dtype)
        self._context.__enter__()

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Leaves autocast."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    before_test_iter = before_val_iter
    after_test_iter = after_val_iter
