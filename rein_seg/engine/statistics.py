"""The statistics of batch normalisation, the same on all processes."""

from __future__ import annotations

from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class StatisticsHook(Hook):
    """Averages running means and variances over the processes after each training step.

    Each process sees other images. Without the average, each would be scored with statistics of
    its own, and the checkpoint would hold those of the first. `SyncBatchNorm` shares them already.
    """

    priority = 'HIGH'  # before the hooks that save or average

    @torch.no_grad()
    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Averages, if there are several processes."""
        buffers = running_statistics(runner.bare_model) if dist.get_world_size() > 1 else []
        if not buffers:
            return
        flat = torch.cat([buffer.float().flatten() for buffer in buffers])
        dist.all_reduce(flat, op='mean')
        parts = flat.split([buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Returns the running means and variances that training updates on each process alone.

    Example:
        >>> import torch
        >>> from rein_seg.engine.statistics import running_statistics
        >>> model = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3).eval())
        >>> [tuple(buffer.shape) for buffer in running_statistics(model)]
        [(3,), (3,)]
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        and not isinstance(module, nn.SyncBatchNorm)
        and module.training
        and module.running_mean is not None
    ]
    return [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var)]
