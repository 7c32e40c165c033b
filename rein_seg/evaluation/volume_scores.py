"""Overlap and surface distances of a class in a volume.

D x H x W voxels, sides given in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import cKDTree

OVERLAPS, DISTANCES = ('Dice', 'Jaccard'), ('HD95', 'ASD', 'ASSD')


class Score(NamedTuple):
    """Scores of a class in a volume.

    Attributes:
        Dice: 2 |P and T| / (|P| + |T|) of predicted voxels P and true voxels T, 0..1.
        Jaccard: |P and T| / |P or T|, 0..1.
        HD95: 95th percentile, linearly interpolated, of the distances of P's surface to T's and of
            T's to P's, all pooled; None without both.
        ASD: Mean distance of P's surface to T's; None without both.
        ASSD: Mean of both sets of distances, pooled; None without both.
    """

    Dice: float
    Jaccard: float
    HD95: float | None
    ASD: float | None
    ASSD: float | None


def volume_score(
    pred: np.ndarray,
    label: np.ndarray,
    *,
    spacing: Sequence[float] | None = None,
    missing: str = 'skip',
) -> Score | None:
    """Returns the scores of a class in a volume; None where it is in neither and is skipped.

    The surface of a set are its voxels with a neighbour outside it, through one of the six faces;
    beyond the volume is outside.

    Args:
        pred: (D, H, W) bool, the predicted voxels.
        label: (D, H, W) bool, the true voxels.
        spacing: Sides of a voxel, the unit of the distances; None counts voxels.
        missing: Of a class without predicted or without true voxels. ``skip``: in neither it has no
            score; in one alone Dice and Jaccard are 0 and there is no distance. ``transunet``:
            predicted alone it has Dice and Jaccard 1 and distances 0; else all are 0.

    Source: the 95 % Hausdorff distance and mean surface distances as TransUNet (Chen et al., 2021)
        and CASTformer (You et al., 2022) report them. Differs from it: ``missing='skip'``.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.volume_scores import volume_score
        >>> pred, label = np.zeros((2, 3, 4, 5), bool)
        >>> pred[1, 1, 1:4], label[1, 1, 1:5] = True, True
        >>> score = volume_score(pred, label)
        >>> round(score.Dice, 3), score.Jaccard, score.ASD, round(score.ASSD, 3)
        (0.857, 0.75, 0.0, 0.143)
    """
    predicted, true = int(np.count_nonzero(pred)), int(np.count_nonzero(label))
    if not (predicted and true):
        if missing == 'transunet':
            overlap = float(predicted > 0)
            return Score(overlap, overlap, 0.0, 0.0, 0.0)
        return Score(0.0, 0.0, None, None, None) if predicted or true else None
    both = int(np.count_nonzero(pred & label))
    there, back = surface_distances(pred, label, spacing)
    pooled = np.concatenate([there, back])
    return Score(
        Dice=2 * both / (predicted + true),
        Jaccard=both / (predicted + true - both),
        HD95=float(np.percentile(pooled, 95)),
        ASD=float(there.mean()),
        ASSD=float(pooled.mean()),
    )


def surface_distances(
    pred: np.ndarray, label: np.ndarray, spacing: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distance of each surface voxel of a set to the surface of the other: both ways.

    Args:
        pred: (D, H, W) bool, not empty.
        label: (D, H, W) bool, not empty.
        spacing: Sides of a voxel; None counts voxels.

    Example:
        >>> import numpy as np
        >>> from rein_seg.evaluation.volume_scores import surface_distances
        >>> pred, label = np.zeros((2, 1, 1, 5), bool)
        >>> pred[0, 0, 0], label[0, 0, 3:] = True, True
        >>> surface_distances(pred, label, spacing=(1, 1, 0.5))
        (array([1.5]), array([1.5, 2. ]))
    """
    box = _box(pred | label)  # nothing outside it changes a distance, and organs are small
    ours, theirs = (_surface(one[box]) * (spacing or 1.0) for one in (pred, label))
    # a tree of the surface: a map of distances would fill the volume eight bytes a voxel
    return cKDTree(theirs).query(ours)[0], cKDTree(ours).query(theirs)[0]


def _surface(voxels: np.ndarray) -> np.ndarray:
    """Returns (N, 3) places of the voxels with a neighbour outside the set."""
    inside = binary_erosion(voxels, generate_binary_structure(voxels.ndim, 1))
    return np.argwhere(voxels & ~inside)


def _box(voxels: np.ndarray) -> tuple[slice, ...]:
    """Returns the smallest box around voxels."""
    axes = range(voxels.ndim)
    filled = [np.flatnonzero(voxels.any(tuple(a for a in axes if a != axis))) for axis in axes]
    return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in filled)
