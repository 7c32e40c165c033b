"""What the camera makes of the picture. Images are (H, W, 3), BGR."""

from __future__ import annotations

import cv2
import numpy as np

from rein_seg.datasets.blobs.domains import Look
from rein_seg.datasets.blobs.shapes import Frame, smooth
from rein_seg.datasets.procedural import noise
from rein_seg.datasets.procedural.draws import between

_GREY = np.float32([0.114, 0.587, 0.299])


def draw_aperture(rng: np.random.Generator, frame: Frame, look: Look) -> np.ndarray | None:
    """Draws what an endoscope's frame leaves open, (H, W), 0..1; None is all."""
    if rng.random() >= look.aperture:
        return None
    x, y = frame.grid
    x, y = np.abs(x / frame.extent[0] - 0.5), np.abs(y / frame.extent[1] - 0.5)
    if rng.random() < 0.5:  # cut corners
        far = np.maximum(np.maximum(x, y) / 0.49, (x + y) / between(rng, 0.74, 0.86))
    else:
        far = np.sqrt(x * x + y * y) / between(rng, 0.5, 0.6)
    return smooth((1.0 - far) * 40.0)


def expose(
    rng: np.random.Generator,
    frame: Frame,
    look: Look,
    image: np.ndarray,
    aperture: np.ndarray | None,
) -> np.ndarray:
    """Turns light (float32, any scale) into a picture (uint8)."""
    image = cv2.transform(image, _colour_matrix(rng, look))
    x, y = frame.grid
    corner = (x / frame.extent[0] - 0.5) ** 2 + (y / frame.extent[1] - 0.5) ** 2
    # cameras set their own exposure; white is reached slowly
    gain = between(rng, *look.exposure) / max(float(image.mean()), 1e-3)
    image *= (gain - gain * between(rng, *look.vignette) * 2.0 * corner)[..., None]
    image = np.maximum(image, 0.0)
    square = image * image
    image /= np.sqrt(np.sqrt(1.0 + square * square))
    image = 255.0 * cv2.pow(image, between(rng, *look.gamma))
    if aperture is not None:
        image *= aperture[..., None]
    return _record(rng, frame, look, image)


def _record(rng: np.random.Generator, frame: Frame, look: Look, image: np.ndarray) -> np.ndarray:
    blur = between(rng, *look.blur) * frame.side / 128
    if blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    image = noise.add_grain(rng, image, deviation=between(rng, *look.noise))
    if look.jpeg:
        quality = int(rng.integers(*look.jpeg))
        done, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return image


def _colour_matrix(rng: np.random.Generator, look: Look) -> np.ndarray:
    saturation = between(rng, *look.saturation)
    matrix = saturation * np.eye(3) + (1.0 - saturation) * _GREY[None, :]
    tint = np.array([between(rng, *span) for span in look.tint])
    return (tint[:, None] * matrix).astype(np.float32)
