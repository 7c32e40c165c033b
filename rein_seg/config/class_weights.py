"""Weights of classes in the loss: as a data file says, or from the training labels."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import DATASETS, MODELS

from rein_seg.datasets.sampling.class_counts import class_counts, class_frequencies
from rein_seg.heads.cascade import heads_of
from rein_seg.heads.mask2former import Mask2FormerHead
from rein_seg.heads.sam import SAMHead

AUTO = 'auto'
LEAST, MOST = 0.2, 5.0


def balanced(frequencies: Sequence[float]) -> list[float]:
    """Returns weights that rise with the rareness of a class: sqrt(median share / share).

    They are clipped to 0.2..5; a class without a pixel has 1. The root lies between no weights and
    the median frequency balancing of Eigen and Fergus (ICCV 2015), which makes rare classes grow
    over their borders.

    Args:
        frequencies: (K,) share of each class in the labelled pixels.

    Example:
        >>> from rein_seg.config.class_weights import balanced
        >>> balanced([0.64, 0.16, 0.16, 0.04, 0.0])
        [0.5, 1.0, 1.0, 2.0, 1.0]
    """
    shares = np.array(frequencies, float)
    there = shares > 0
    weights = np.ones(len(shares))
    weights[there] = np.sqrt(np.median(shares[there]) / shares[there]).clip(LEAST, MOST)
    return [round(float(weight), 4) for weight in weights]


def fill_class_weights(cfg: Config, training: bool) -> None:
    """Gives the loss of the head the benchmark's ``class_weights``, in place.

    Args:
        cfg: The config.
        training: Whether ``auto`` may read the training labels; their counts are kept in a file.

    Raises:
        UserError: If the labels cannot be counted.
    """
    weights = cfg.benchmark.get('class_weights')
    if weights is None or (weights == AUTO and not training):
        return
    if weights == AUTO:
        counts = class_counts(DATASETS.build(cfg.train_dataloader.dataset))
        weights = cfg.benchmark['class_weights'] = balanced(class_frequencies(counts).tolist())
    weights = list(weights)
    if not _give(cfg.model.decode_head, weights) and training:
        print_log(
            f'class_weights: the loss of {cfg.model.decode_head.type} has no place for weights of '
            'classes; it is trained without',
            logger='current',
            level=logging.WARNING,
        )


def _give(head: Any, weights: list[float]) -> bool:
    """Sets the weights in a head's config; returns whether it takes them."""
    parts = heads_of(head)
    if parts[0] is not head:  # a CascadeHead
        given = [_give(part, weights) for part in parts]  # each, not up to the first
        return any(given)
    cls = MODELS.get(head['type'])
    if not inspect.isclass(cls):  # an error of a later step
        return True
    if head.get('out_channels') == 1:
        return False
    if issubclass(cls, (Mask2FormerHead, SAMHead)):
        key = 'loss' if issubclass(cls, Mask2FormerHead) else 'set_loss'
        if key == 'set_loss' and len(weights) == 2:  # one channel
            return False
        head[key] = {'class_weights': weights, **(head.get(key) or {})}
        return True
    if not issubclass(cls, BaseDecodeHead):
        return False
    if 'loss_decode' not in head:
        head['loss_decode'] = {'type': 'CrossEntropyLoss', 'loss_weight': 1.0}
    losses = head['loss_decode']
    losses = losses if isinstance(losses, (list, tuple)) else [losses]
    given = [_weighted(loss, weights) for loss in losses]  # each, not up to the first
    return any(given)


def _weighted(loss: Any, weights: list[float]) -> bool:
    cls = MODELS.get(loss['type'])
    if 'class_weight' not in inspect.signature(cls).parameters or loss.get('use_sigmoid'):
        return False
    loss.setdefault('class_weight', weights)
    loss.pop('avg_non_ignore', None)  # with weights mmseg always divides by the labelled pixels'
    return True


def read_class_weights(said: Any, names: Sequence[str]) -> str | tuple[float, ...] | None:
    """Returns the weights that a data file says, in the order of the classes; ``auto`` as it is.

    Raises:
        ValueError: With the words of the expected form.
    """
    if said is None or said == AUTO:
        return said
    if isinstance(said, Mapping):
        unknown = [name for name in said if name not in names]
        if unknown:
            raise ValueError(f'names of classes, and {unknown[0]!r} is none of {list(names)}')
        said = [said.get(name, 1.0) for name in names]
    good = isinstance(said, (list, tuple)) and len(said) == len(names)
    if not good or not all(_is_weight(one) for one in said) or not any(said):
        raise ValueError(
            f"'auto', or {len(names)} numbers of 0 to 1000, not all 0, as a list or by name"
        )
    return tuple(float(one) for one in said)


def _is_weight(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1000
