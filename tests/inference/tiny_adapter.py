"""An adapter file, written once a process, and pictures, videos and rasters to predict."""

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tests.inference.tiny_models import write_adapter


@lru_cache(maxsize=2)
def tiny_adapter(seed: int = 0) -> str:
    """Returns the path of an adapter of 19 classes; another seed is another adapter."""
    folder = Path(tempfile.mkdtemp(prefix='tiny_adapter_'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(write_adapter(folder, more=dict(note=seed))[0])


def pixels(height=40, width=60, seed=0):
    """Returns (H, W, 3) uint8 pixels in patches, so that JPEG keeps them."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def draw(path, height=40, width=60, seed=0):
    """Writes a picture and returns its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels(height, width, seed))
    return path


def film(path, count=6, height=32, width=48, rate=10, codec='mp4v'):
    """Writes a video of distinct frames and returns its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
    for index in range(count):
        writer.write(pixels(height, width, index))
    writer.release()
    return path
