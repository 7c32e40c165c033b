"""Numbers that all processes of a training share."""

from __future__ import annotations

from mmengine import dist
from torch import Tensor


def dist_mean(value: Tensor) -> Tensor:
    """Returns the mean over processes.

    Example:
        >>> import torch
        >>> from rein_seg.heads.processes import dist_mean
        >>> dist_mean(torch.tensor(3.0))
        tensor(3.)
    """
    if dist.get_world_size() > 1:
        value = value.clone()
        dist.all_reduce(value, op='mean')
    return value
