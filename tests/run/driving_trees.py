"""Fake GTAV, Cityscapes, BDD100K and Mapillary trees, laid out as downloaded, in tiny pictures."""

from pathlib import Path

import cv2
import numpy as np

# image, label, raw ids of road, car and sky, (height, width)
PLACES = {
    'gtav': ('gta/images/{}.png', 'gta/labels/{}.png', (7, 26, 23), (132, 240)),
    'cityscapes': (
        'cityscapes/leftImg8bit/val/lindau/{}_leftImg8bit.png',
        'cityscapes/gtFine/val/lindau/{}_gtFine_labelIds.png',
        (7, 26, 23),
        (64, 128),
    ),
    'bdd100k': (
        'bdd100k/images/10k/val/{}.jpg',
        'bdd100k/labels/sem_seg/masks/val/{}.png',
        (0, 13, 10),
        (72, 128),
    ),
    'mapillary': (
        'mapillary/validation/images/{}.jpg',
        'mapillary/validation/labels/{}.png',
        (13, 55, 27),
        (96, 128),
    ),
}


def write_trees(root: Path, *, images: int = 4) -> None:
    """Writes ``images`` pictures of GTAV and one of each other: sky above a road, a car on it."""
    for domain, (image, label, (road, car, sky), (height, width)) in PLACES.items():
        for i in range(images if domain == 'gtav' else 1):
            ids = np.full((height, width), sky, np.uint8)
            ids[height // 2 :] = road
            left = (i * 17) % (width // 2)
            ids[height // 2 : 3 * height // 4, left : left + width // 4] = car
            colours = np.zeros((256, 3), np.uint8)
            colours[[sky, road, car]] = (200, 120, 60), (90, 90, 90), (20, 30, 180)
            for name, array in ((image, colours[ids]), (label, ids)):
                path = root / name.format(f'a_{i:05d}')
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), array)
