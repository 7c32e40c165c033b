"""Builds necks: the package's own, and those of mmseg, which do not say what they return.

B batch, C channels, h x w map.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn

_SIDE = 4  # of the smallest map that a neck is tried with


def build_neck(
    cfg: Mapping[str, Any], channels: Sequence[int], strides: Sequence[int]
) -> tuple[nn.Module, tuple[int, ...]]:
    """Builds a neck, with the channels of its input filled in, and finds those of its output.

    A neck of this package lists them as ``out_channels``. Necks of mmseg have one number there, or
    nothing, whatever the number of their maps: each is run once, on small maps of zeros.

    Args:
        cfg: Config of the neck. Its own ``in_channels`` wins over the filled-in channels.
        channels: C of each map that the neck gets.
        strides: Pixels a step of each map.

    Returns:
        The neck, and the channels of each map that it returns.

    Example:
        >>> from rein_seg.models.neck_config import build_neck
        >>> fpn = dict(type='FPN', out_channels=16, num_outs=5)
        >>> build_neck(fpn, (8, 8, 16, 32), (4, 8, 16, 32))[1]
        (16, 16, 16, 16, 16)
    """
    cls = MODELS.get(cfg['type'])
    takes = cls is None or 'in_channels' in inspect.signature(cls).parameters
    neck = MODELS.build({'in_channels': list(channels), **cfg} if takes else dict(cfg))
    stated = getattr(neck, 'out_channels', None)
    if isinstance(stated, Sequence):
        return neck, tuple(stated)
    return neck, _tried(neck, channels, strides)


@torch.no_grad()
def _tried(neck: nn.Module, channels: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    sides = [_SIDE * max(strides) // stride for stride in strides]
    maps = [torch.zeros(1, c, side, side) for c, side in zip(channels, sides, strict=True)]
    training = neck.training
    neck.eval()  # batch statistics stay as they are
    found = tuple(x.shape[1] for x in neck(maps))
    neck.train(training)
    return found
