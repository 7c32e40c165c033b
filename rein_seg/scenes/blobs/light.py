"""Light from beside the lens onto a surface with heights."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rein_seg.scenes.blobs.sketch import Sketch, smooth


def shine(sketch: Sketch, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lights a surface of heights (H, W) in sides.

    Returns:
        Factor of the surface's colour, and highlights, 0..1, in the lamp's colour; each (H, W).
    """
    slopes = [
        cv2.Sobel(height, cv2.CV_32F, *axis, scale=sketch.side / 8) for axis in ((1, 0), (0, 1))
    ]
    x, y = sketch.grid
    spot = 0.5 + sketch.rng.normal(0.0, 0.12, 2)
    away = x - np.float32(spot[0] * sketch.extent[0]), y - np.float32(spot[1] * sketch.extent[1])
    turn, tilt = sketch.turn(), sketch.between((0.1, 0.55))
    facing = 1.0 - (math.cos(turn) * tilt) * slopes[0] - (math.sin(turn) * tilt) * slopes[1]
    # higher places are nearer to the lamp, hence brighter
    diffuse = facing / np.sqrt(1.0 + slopes[0] ** 2 + slopes[1] ** 2) + 2.5 * height
    reach = sketch.between(sketch.look.spot)
    falloff = 1.0 / (1.0 + (away[0] ** 2 + away[1] ** 2) / reach**2)
    return np.clip(diffuse, 0.05, 1.8) * falloff, _highlights(sketch, slopes, away)


def _highlights(
    sketch: Sketch, slopes: list[np.ndarray], away: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Draws highlights where the slope of the wet, uneven surface mirrors the lamp."""
    miss = [s + 0.16 * sketch.noise(0.04) + 1.1 * a for s, a in zip(slopes, away, strict=True)]
    hit = np.exp((miss[0] ** 2 + miss[1] ** 2) * -50.0)
    wet = smooth(0.35 + 1.2 * sketch.noise(0.2))
    return np.clip(sketch.between(sketch.look.gloss) * smooth(2.5 * hit - 0.9) * wet, 0.0, 1.0)
