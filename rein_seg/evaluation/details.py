"""Facts about a test beside its scores: confusions, calibration, worst and best images.

K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from mmengine import dist

from rein_seg.evaluation.calibration import count_bins, grid
from rein_seg.evaluation.confusion import areas_of

KEPT = 3  # images of each kind in a domain
_ROOM = {'first': 1, 'worst': KEPT, 'best': KEPT}
_SIDE = 320  # pixels of a kept map, the longer side


@dataclass
class Picture:
    """An image with small maps of its truth and its prediction.

    Attributes:
        path: Of the image.
        score: Of the image, in %; None without a labelled pixel.
        label: (h, w) uint8 class indexes; of a whole image its class index.
        pred: Likewise.
        about: Fields that reading the image needs.
    """

    path: str
    score: float | None
    label: np.ndarray | int
    pred: np.ndarray | int
    about: dict[str, Any] = field(default_factory=dict)


_Kept = tuple[tuple[float, str], Picture]


@dataclass
class DomainDetails:
    """Facts about a domain.

    Attributes:
        confusion: (K, K) int64 pixels, rows are labels.
        bins: Of `count_bins`; None if the model gives no probabilities.
        scores: Path -> score of each image in %, None without a labelled pixel.
        worst: Of all images the worst, the worst first.
        best: The best, the best first; none is among the worst.
        first: The first image.
    """

    confusion: np.ndarray
    bins: np.ndarray | None
    scores: dict[str, float | None]
    worst: list[Picture]
    best: list[Picture]
    first: Picture


@dataclass
class _Entry:
    """An image; it is gathered from all ranks, so the matrix is kept by its filled cells."""

    domain: str
    path: str
    score: float | None
    cells: np.ndarray
    pixels: np.ndarray
    bins: np.ndarray | None


class Details:
    """Collects the facts of a test, image by image.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.details import Details
        >>> details, label = Details(), np.array([[0, 1]])
        >>> sample = dict(domain='fog', img_path='a.png')
        >>> details.add(sample, label, np.array([[0, 0]]), np.array([[1, 0], [1, 0]]), 50.0)
        >>> found = details.gather(size=1, num_classes=2)['fog']
        >>> found.confusion.tolist(), found.scores
        ([[1, 0], [1, 0]], {'a.png': 50.0})
    """

    def __init__(self) -> None:
        self._entries: list[_Entry | None] = []
        self._kept: dict[str, dict[str, list[_Kept]]] = {}  # domain -> kind -> pictures

    def add(
        self,
        sample: Mapping[str, Any],
        label: np.ndarray,
        pred: np.ndarray,
        matrix: np.ndarray,
        score: float | None,
        ignore_index: int = 255,
    ) -> None:
        """Adds an image.

        Args:
            sample: With ``domain``, ``img_path`` and, if the model gives it, ``confidence``.
            label: (H, W) class indexes and ignore_index.
            pred: (H, W) class indexes.
            matrix: Confusion matrix of the image.
            score: Of the image, in %.
            ignore_index: Label of pixels that are not counted.
        """
        cells = np.flatnonzero(matrix)
        self._entries.append(
            _Entry(
                sample['domain'],
                str(sample.get('img_path')),
                score,
                # rows and columns: the number of classes may differ from the matrix'
                np.stack(np.divmod(cells, len(matrix))).astype(np.int32),
                matrix.ravel()[cells],
                _bins(sample, label, pred, ignore_index),
            )
        )
        self._keep(sample, label, pred, score)

    def leave_out(self) -> None:
        """Notes a sample of another task: the order of all ranks' entries stays."""
        self._entries.append(None)

    def gather(self, size: int, num_classes: int, device: str = 'cpu') -> dict[str, DomainDetails]:
        """Returns the facts of each domain, of the images of all ranks (main process), and clears.

        Args:
            size: Number of images; further entries repeat images, so that ranks have equally many.
            num_classes: K.
            device: Of the exchange between ranks.
        """
        entries = dist.collect_results(self._entries, size, device)
        kept = dist.all_gather_object(self._kept)
        self._entries, self._kept = [], {}
        if entries is None:  # not the main process
            return {}
        entries = [entry for entry in entries if entry is not None]
        domains = dict.fromkeys(entry.domain for entry in entries)
        return {
            name: _domain(
                [entry for entry in entries if entry.domain == name],
                [rank[name] for rank in kept if name in rank],
                num_classes,
            )
            for name in domains
        }

    def _keep(
        self, sample: Mapping[str, Any], label: np.ndarray, pred: np.ndarray, score: float | None
    ) -> None:
        path = str(sample.get('img_path'))
        keys = {'first': (0, ''), **({} if score is None else _keys(score, path))}
        kinds = self._kept.setdefault(sample['domain'], {kind: [] for kind in _ROOM})
        wanted = [k for k in keys if len(kinds[k]) < _ROOM[k] or keys[k] < kinds[k][-1][0]]
        if not wanted:
            return
        about = {key: sample.get(key) for key in ('max_value', 'orientation', 'bands')}
        picture = Picture(path, score, _small(label), _small(pred), about)
        for kind in wanted:
            kinds[kind] = _best_placed([*kinds[kind], (keys[kind], picture)], _ROOM[kind])


def _keys(score: float, path: str) -> dict[str, tuple[float, str]]:
    """Returns kind -> place of an image in its order; of equal scores the first name wins."""
    return {'worst': (score, path), 'best': (-score, path)}


def _best_placed(kept: Sequence[_Kept], room: int) -> list[_Kept]:
    # an image that two ranks have seen counts once
    once = {picture.path: (key, picture) for key, picture in reversed(kept)}
    return sorted(once.values(), key=lambda one: one[0])[:room]


def _small(values: np.ndarray) -> np.ndarray:
    """Returns a map at most `_SIDE` pixels long; nearest: no class may appear between two."""
    scale = min(1.0, _SIDE / max(values.shape))
    size = tuple(max(1, round(side * scale)) for side in values.shape[::-1])
    return cv2.resize(values.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)


def _domain(
    entries: Sequence[_Entry], kept: Sequence[Mapping[str, list[_Kept]]], num_classes: int
) -> DomainDetails:
    """Returns the facts of a domain.

    Args:
        entries: Its images.
        kept: Kind -> pictures of each rank that has seen the domain.
        num_classes: K.
    """
    confusion = np.zeros((num_classes, num_classes), np.int64)
    for entry in entries:
        inside = (entry.cells < num_classes).all(0)
        confusion[tuple(entry.cells[:, inside])] += entry.pixels[inside]
    bins = [entry.bins for entry in entries if entry.bins is not None]
    every = {kind: [one for rank in kept for one in rank[kind]] for kind in _ROOM}
    kinds = {
        kind: [picture for _, picture in _best_placed(every[kind], room)]
        for kind, room in _ROOM.items()
    }
    # each rank has a first image; the entries have the order of the data set
    firsts = {picture.path: picture for _, picture in every['first']}
    shown = {picture.path for picture in kinds['worst']}
    return DomainDetails(
        confusion=confusion,
        bins=np.sum(bins, axis=0) if bins else None,
        scores={entry.path: entry.score for entry in entries},
        worst=kinds['worst'],
        best=[picture for picture in kinds['best'] if picture.path not in shown],
        first=firsts[entries[0].path],
    )


def image_iou(matrix: np.ndarray, num_classes: int) -> float | None:
    """Returns the mean IoU in % over the classes that an image's label has, or None without one.

    Args:
        matrix: Confusion matrix of the image.
        num_classes: K.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.details import image_iou
        >>> image_iou(np.array([[2, 2, 0], [0, 4, 0], [0, 0, 0]]), 3).__round__(2)
        58.33
    """
    both, predicted, labelled = areas_of(matrix, num_classes).astype(np.float64)
    there = labelled > 0
    if not there.any():
        return None
    union = predicted + labelled - both
    return float((both[there] / union[there]).mean() * 100)


def _bins(
    sample: Mapping[str, Any], label: np.ndarray, pred: np.ndarray, ignore_index: int
) -> np.ndarray | None:
    if 'confidence' not in sample:
        return None
    confidence = sample['confidence']['data'].squeeze(0).float().cpu().numpy()
    rows, columns = grid(label.shape)
    label, pred = label[rows, columns], pred[rows, columns]
    valid = (label != ignore_index) & np.isfinite(confidence)
    return count_bins(confidence[valid], pred[valid] == label[valid])
