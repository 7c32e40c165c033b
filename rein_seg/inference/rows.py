"""Predictions as rows that pass by: resized, averaged, made into classes.

K channels of a prediction, h x w network input, H x W image, n rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.heads.contract import DecodeHead
from rein_seg.inference.tiles import Rows
from rein_seg.models.postprocess import check_finite

_MOST_VALUES = 2**24  # of rows that are worked on at once: 64 MiB


@dataclass(frozen=True, eq=False)
class Strip:
    """Finished rows of an image.

    Attributes:
        y0: The first of them.
        map: (n, W) class indexes, uint8 or above 255 classes uint16.
        confidence: Sum over their pixels of the highest probability.
        scores: (K, n, W) float32 probabilities, or None.
    """

    y0: int
    map: np.ndarray
    confidence: float
    scores: np.ndarray | None = None


def resize_rows(
    rows: Iterator[Rows], size: tuple[int, int], to: tuple[int, int], *, align_corners: bool
) -> Iterator[Rows]:
    """Resizes predictions bilinearly while they pass by, as PyTorch's ``interpolate`` would whole.

    Args:
        rows: From top to bottom, (K, n, w) each.
        size: (h, w) of all of them.
        to: (H, W).
        align_corners: As of the head.
    """
    if size == to:
        yield from rows
        return
    low, high, part = _sources(size[0], to[0], align_corners=align_corners)
    held: Tensor | None = None
    top = done = 0  # first row of `held`, next row to yield
    for first, new in rows:
        held, top = (new, first) if held is None else (torch.cat([held, new], 1), top)
        bottom = first + new.shape[1]
        ready = int(torch.searchsorted(high, bottom))  # rows whose two sources are there
        step = max(1, _MOST_VALUES // (len(new) * to[1]))
        for start in range(done, ready, step):
            stop = min(start + step, ready)
            above, below = low[start:stop] - top, high[start:stop] - top
            yield start, _between(held, above, below, part[start:stop], to[1], align_corners)
        done = max(done, ready)
        keep = min(int(low[done]) - top, held.shape[1]) if done < to[0] else held.shape[1]
        held, top = held[:, keep:].clone(), top + keep


def _sources(side: int, to: int, *, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the rows above and below each new row, and the weight of the row below."""
    place = torch.arange(to, dtype=torch.float32)
    if align_corners:
        source = place * ((side - 1) / (to - 1) if to > 1 else 0.0)
    else:
        source = ((place + 0.5) * (side / to) - 0.5).clamp(min=0)
    low = source.floor().long().clamp(max=side - 1)
    return low, (low + 1).clamp(max=side - 1), source - low


def _between(
    held: Tensor, above: Tensor, below: Tensor, part: Tensor, width: int, align_corners: bool
) -> Tensor:
    first = int(above[0])
    used = held[:, first : int(below[-1]) + 1]
    shape = (used.shape[1], width)
    wide = F.interpolate(used[None], size=shape, mode='bilinear', align_corners=align_corners)[0]
    weight = part.to(wide)[:, None]
    device = wide.device
    above, below = (above - first).to(device), (below - first).to(device)
    return wide[:, above] * (1 - weight) + wide[:, below] * weight


def mean_rows(streams: Sequence[Iterator[Rows]]) -> Iterator[Rows]:
    """Yields the mean of predictions of one image, which come in portions of their own."""
    held: list[Tensor | None] = [None] * len(streams)
    top = 0
    while True:
        for i, stream in enumerate(streams):
            if held[i] is None:
                following = next(stream, None)
                if following is None:
                    return
                held[i] = following[1]
        parts = [part for part in held if part is not None]
        count = min(part.shape[1] for part in parts)
        yield top, torch.stack([part[:, :count] for part in parts]).mean(0)
        held = [part[:, count:] if part.shape[1] > count else None for part in parts]
        top += count


def apply_rows(rows: Iterator[Rows], change: Callable[[Tensor], Tensor]) -> Iterator[Rows]:
    """Yields changed rows; ``change`` gets (K, n, W) and keeps n and W."""
    for first, values in rows:
        yield first, change(values)


def portions(rows: Iterator[Rows]) -> Iterator[Rows]:
    """Yields the same rows in portions of at most 64 MiB."""
    for first, values in rows:
        step = max(1, _MOST_VALUES // (len(values) * values.shape[2]))
        for start in range(0, values.shape[1], step):
            yield first + start, values[:, start : start + step]


def label_rows(
    rows: Iterator[Rows], head: DecodeHead, *, scores: bool, are_probabilities: bool
) -> Iterator[Strip]:
    """Yields the classes of rows.

    Args:
        rows: (K, n, W) predictions of ``head``, or probabilities.
        head: It says whether one channel is the foreground of two classes.
        scores: Whether to keep the probabilities of all classes.
        are_probabilities: Whether ``rows`` are probabilities.

    Raises:
        NotFinite: If the best prediction of a pixel is not a finite number.
    """
    wide = head.num_classes > 255
    for first, values in portions(rows):
        probabilities = values if are_probabilities else head.probabilities(values[None])[0]
        if head.sigmoid:
            check_finite(probabilities)
            label = (probabilities[0] > head.threshold).long()
            probabilities = torch.cat([1 - probabilities, probabilities])
        else:
            best, label = values.max(0)
            check_finite(best)
        yield Strip(
            first,
            label.cpu().numpy().astype(np.uint16 if wide else np.uint8),
            float(probabilities.amax(0).cpu().double().sum()),  # Apple's GPUs have no float64
            probabilities.float().cpu().numpy() if scores else None,
        )
