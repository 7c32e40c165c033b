"""Small folders of own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)  # height, width
TEXT = """
name: town
classes: [road, sky, house]
size: 32
workers: 0
batch_size: 2
domains:
  day:
    train: {images: day/images, labels: day/labels}
    val: {images: more/images, labels: more/labels}
  dusk: {images: dusk/images, labels: dusk/labels}
"""


def save(path: Path, array: np.ndarray, **options) -> Path:
    """Saves a picture, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def stripes(*values, size=SIZE, dtype=np.uint8) -> np.ndarray:
    """Returns an (H, W) label of these values in vertical stripes."""
    height, width = size
    row = np.repeat(np.array(values, dtype), -(-width // len(values)))[:width]
    return np.ascontiguousarray(np.broadcast_to(row, size))


def photo(label: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns (H, W, 3) RGB that shows a label: each class has its brightness."""
    noise = np.random.default_rng(seed).integers(0, 30, (*label.shape, 3))
    return (label.astype(int)[..., None] % 4 * 70 + noise).clip(0, 255).astype(np.uint8)


def pairs(
    folder: Path, images: str, labels: str, *, number: int = 3, values=(0, 1, 2), prefix: str = ''
) -> None:
    """Draws images and labels ``PREFIX{i}.png``."""
    for i in range(number):
        label = stripes(*np.roll(values, i))
        save(folder / images / f'{prefix}{i}.png', photo(label, i))
        save(folder / labels / f'{prefix}{i}.png', label)


def draw_town(folder: Path, text: str = TEXT, **options) -> Path:
    """Draws the data of `TEXT` in a folder; returns its data file."""
    for part in ('day', 'more', 'dusk'):
        pairs(folder, f'{part}/images', f'{part}/labels', **options)
    file = folder / 'data.yaml'
    file.write_text(text)
    return file
