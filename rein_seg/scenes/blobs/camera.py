"""Turns light into a picture: the frame of an endoscope, exposure, colour, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np

from rein_seg.scenes.blobs.sketch import Sketch, smooth
from rein_seg.scenes.drawing import noise

_GREY = np.float32([0.114, 0.587, 0.299])


def draw_aperture(sketch: Sketch) -> np.ndarray | None:
    """Draws the opening of an endoscope's frame, (H, W), 0..1; None without a frame."""
    if sketch.rng.random() >= sketch.look.aperture:
        return None
    x, y = (
        np.abs(axis / side - 0.5) for axis, side in zip(sketch.grid, sketch.extent, strict=True)
    )
    if sketch.rng.random() < 0.5:  # cut corners
        far = np.maximum(np.maximum(x, y) / 0.49, (x + y) / sketch.between((0.74, 0.86)))
    else:
        far = np.sqrt(x * x + y * y) / sketch.between((0.5, 0.6))
    return smooth((1.0 - far) * 40.0)


def expose(sketch: Sketch, light: np.ndarray, *, aperture: np.ndarray | None) -> np.ndarray:
    """Turns light (3, H, W), of any scale, into a picture (H, W, 3), uint8."""
    image = cv2.transform(cv2.merge(list(light)), _colour_matrix(sketch))
    x, y = sketch.grid
    corner = (x / sketch.extent[0] - 0.5) ** 2 + (y / sketch.extent[1] - 0.5) ** 2
    # cameras expose for the mean brightness; x / (1 + x^4)^(1/4) reaches white gradually
    gain = sketch.between(sketch.look.exposure) / max(float(image.mean()), 1e-3)
    vignette = gain - gain * sketch.between(sketch.look.vignette) * 2.0 * corner
    image = np.maximum(image * cv2.merge([vignette] * 3), 0.0)
    square = image * image
    image /= np.sqrt(np.sqrt(1.0 + square * square))
    image = 255.0 * cv2.pow(image, sketch.between(sketch.look.gamma))
    if aperture is not None:
        image *= cv2.merge([aperture] * 3)
    return _record(sketch, image)


def _record(sketch: Sketch, image: np.ndarray) -> np.ndarray:
    look = sketch.look
    blur = sketch.between(look.blur) * sketch.scale
    if blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    image = noise.add_grain(sketch.rng, image, deviation=sketch.between(look.noise))
    quality = int(sketch.rng.integers(*look.jpeg))
    done, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return cv2.imdecode(code, cv2.IMREAD_COLOR)


def _colour_matrix(sketch: Sketch) -> np.ndarray:
    saturation = sketch.between(sketch.look.saturation)
    matrix = saturation * np.eye(3) + (1.0 - saturation) * _GREY[None, :]
    tint = np.array([sketch.between(span) for span in sketch.look.tint])
    return (tint[:, None] * matrix).astype(np.float32)
