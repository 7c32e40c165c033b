"""Miniature copies of three real street data sets: the same folders, names and ids, drawn.

The folder named by REIN_SEG_STREETS holds the real files.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

STREETS = Path(os.environ.get('REIN_SEG_STREETS') or 'no folder')
needs_streets = pytest.mark.skipif(
    not STREETS.is_dir(), reason='REIN_SEG_STREETS names no folder with camvid, kitti, bdd_taste'
)
SIZE = (36, 64)
# class -> share of a drawn scene's rows; every scene has all of them
SCENE = {
    'sky': 6, 'building': 7, 'vegetation': 7, 'pole': 1, 'car': 3, 'road': 9, 'sidewalk': 2,
    'void': 1,
}  # fmt: skip
LABEL_IDS = dict(sky=23, building=11, vegetation=21, pole=17, car=26, road=7, sidewalk=8, void=0)
TRAIN_IDS = dict(sky=10, building=2, vegetation=8, pole=5, car=13, road=0, sidewalk=1, void=255)
CAMVID_IDS = dict(sky=0, building=1, vegetation=5, pole=2, car=8, road=3, sidewalk=4, void=255)


def scene(ids: dict[str, int]) -> np.ndarray:
    """Returns a (36, 64) label in rows of classes."""
    rows = [ids[name] for name, number in SCENE.items() for _ in range(number)]
    return np.repeat(np.array(rows, np.uint8)[:, None], SIZE[1], axis=1)


def write_pair(image: Path, label: Path, ids: dict[str, int], seed: int) -> None:
    """Writes an image of noise and its label."""
    noise = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    for path, values in ((image, noise), (label, scene(ids))):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), values)


def write_streets(root: Path, *, official: bool = False) -> Path:
    """Writes camvid, kitti and bdd_taste below a folder, a few images of each split.

    Args:
        root: The folder.
        official: Whether KITTI has the folders of its download.
    """
    for split in ('day_train', 'day_val', 'dusk_val'):
        for i in range(2):
            write_pair(
                root / f'camvid/images/{split}/f{i}.jpg',
                root / f'camvid/labels/{split}/f{i}.png',
                CAMVID_IDS,
                i,
            )
    for split, numbers in (('train', (0, 1)), ('val', (150, 151))):
        for i in numbers:
            _kitti(root / 'kitti', split, f'{i:06}_10', official, i)
    for split in ('train', 'val'):
        for folder, ids in (('labels', TRAIN_IDS), ('labels_camvid11', CAMVID_IDS)):
            write_pair(
                root / f'bdd_taste/images/{split}/{split}-a.jpg',
                root / f'bdd_taste/{folder}/{split}/{split}-a.png',
                ids,
                7,
            )
    return root


def _kitti(root: Path, split: str, name: str, official: bool, seed: int) -> None:
    if official:
        write_pair(
            root / f'training/image_2/{name}.png',
            root / f'training/semantic/{name}.png',
            LABEL_IDS,
            seed,
        )
        return
    for folder, ids in (('labels', LABEL_IDS), ('labels_camvid11', CAMVID_IDS)):
        write_pair(
            root / f'images/{split}/{name}.jpg', root / f'{folder}/{split}/{name}.png', ids, seed
        )
