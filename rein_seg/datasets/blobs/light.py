"""Light from beside the lens onto a surface with heights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rein_seg.datasets.blobs.domains import Look
from rein_seg.datasets.blobs.shapes import Frame, smooth
from rein_seg.datasets.procedural.draws import between


@dataclass(frozen=True)
class Light:
    """What a surface sends back.

    Args:
        diffuse: (H, W), a factor of the surface's colour.
        gloss: (H, W), 0..1, highlights in the light's own colour.
    """

    diffuse: np.ndarray
    gloss: np.ndarray


def shine(rng: np.random.Generator, frame: Frame, look: Look, height: np.ndarray) -> Light:
    """Lights a surface of heights (H, W) in sides."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=frame.side / 8)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=frame.side / 8)
    turn, tilt = rng.uniform(0, 2 * math.pi), between(rng, 0.1, 0.55)
    towards = math.cos(turn) * tilt, math.sin(turn) * tilt
    steepness = np.sqrt(1.0 + slope_x**2 + slope_y**2)
    # what stands out is nearer to the lamp
    diffuse = (1.0 - towards[0] * slope_x - towards[1] * slope_y) / steepness + 2.5 * height
    x, y = frame.grid
    spot = (0.5 + rng.normal(0, 0.12, 2)) * frame.extent
    away_x, away_y = x - np.float32(spot[0]), y - np.float32(spot[1])
    falloff = 1.0 / (1.0 + (away_x**2 + away_y**2) / between(rng, *look.spot) ** 2)
    # a wet surface mirrors the lamp where its slope points there; the film of mucus is uneven
    rough = 0.16
    mirror_x = slope_x + rough * frame.noise(rng, 0.04) + 1.1 * away_x
    mirror_y = slope_y + rough * frame.noise(rng, 0.04) + 1.1 * away_y
    hit = np.exp(-(mirror_x**2 + mirror_y**2) / 0.02)
    wet = smooth(0.35 + 1.2 * frame.noise(rng, 0.2))
    gloss = between(rng, *look.gloss) * smooth(2.5 * hit - 0.9) * wet
    return Light(np.clip(diffuse, 0.05, 1.8) * falloff, np.clip(gloss, 0.0, 1.0))
