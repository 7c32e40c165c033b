"""Builds necks: the package's own, and those of mmseg, which do not say what they return.

B batch, C channels, h x w map.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import HeadInputs
from rein_seg.necks.contract import FeaturesNeck

_SIDE = 4  # of the smallest map that a neck is tried with


def build_neck(
    cfg: Mapping[str, Any], inputs: HeadInputs
) -> tuple[nn.Module, tuple[int, ...], tuple[int, ...]]:
    """Builds a neck, with the channels of its input filled in, and finds the sizes of its output.

    Necks of mmseg do not list their maps, so a neck is run once, on small maps of zeros.

    Args:
        cfg: Config of the neck. Its own ``in_channels`` wins over the filled-in channels, of necks
            of mmseg.
        inputs: The facts to fill in; channels and strides are of the maps that the neck gets.

    Returns:
        The neck, and channels and stride of each map that it returns.

    Raises:
        UserError: If the neck takes another number of maps, or other channels, or a `FeaturesNeck`
            is given other facts than the model's.

    Example:
        >>> from rein_seg.heads.contract import HeadInputs
        >>> from rein_seg.models.neck_config import build_neck
        >>> inputs = HeadInputs((8, 8, 16, 32), (4, 8, 16, 32), num_classes=19)
        >>> build_neck(dict(type='FPN', out_channels=16, num_outs=5), inputs)[1:]
        ((16, 16, 16, 16, 16), (4, 8, 16, 32, 64))
    """
    channels, strides = inputs.channels, inputs.strides
    assert strides is not None
    cls = MODELS.get(cfg['type'])
    if inspect.isclass(cls) and issubclass(cls, FeaturesNeck):
        own = MODELS.build({**cfg, **_filled_in(cls, cfg, inputs)})
        return own, tuple(own.out_channels), tuple(own.out_strides)
    takes = cls is None or _takes_channels(cls)
    try:
        neck = MODELS.build({'in_channels': list(channels), **cfg} if takes else dict(cfg))
        maps, side = _tried(neck, channels, strides)
    except (AssertionError, IndexError, RuntimeError) as error:  # necks of mmseg say no more
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f'model.neck: {cfg["type"]} does not fit the {len(channels)} maps of the encoder, with '
            f'channels {list(channels)} and strides {list(strides)} ({Path(place.filename).name}, '
            f'line {place.lineno}): choose other out_indices of the encoder, or change the options '
            'of the neck that count maps, or leave its in_channels out'
        ) from error
    return neck, tuple(x.shape[1] for x in maps), tuple(side // x.shape[2] for x in maps)


def _filled_in(
    cls: type[FeaturesNeck], cfg: Mapping[str, Any], inputs: HeadInputs
) -> dict[str, Any]:
    """Returns the facts that a neck takes; a config must not say otherwise."""
    every = inputs.arguments(list(range(len(inputs.channels))))
    facts = {name: every[name] for name in cls.filled_in}
    for name, value in facts.items():
        if cfg.get(name, value) != value:
            raise UserError(
                f'model.neck.{name}={cfg[name]!r}, but the model has {value!r}: leave it out, it '
                'is filled in'
            )
    return facts


def _takes_channels(cls: Any) -> bool:
    """Whether a class takes ``in_channels``, by name or to hand them on to the class it extends."""
    known = inspect.signature(cls).parameters
    return 'in_channels' in known or any(p.kind is p.VAR_KEYWORD for p in known.values())


@torch.no_grad()
def _tried(
    neck: nn.Module, channels: Sequence[int], strides: Sequence[int]
) -> tuple[Sequence[Tensor], int]:
    """Returns the maps of a square image, and its side in pixels."""
    side = _SIDE * max(strides)
    sizes = [(1, c, side // s, side // s) for c, s in zip(channels, strides, strict=True)]
    training = neck.training
    neck.eval()  # batch statistics stay as they are
    found = neck(tuple(torch.zeros(size) for size in sizes))
    neck.train(training)
    return found, side
