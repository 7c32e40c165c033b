"""Test-time augmentation: an image at several sizes and mirrored, probabilities averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from rein_seg.errors import UserError
from rein_seg.inference.tiles import Read

SCALES = (0.75, 1.0, 1.25)
_MOST_SIDE = 32_000  # OpenCV's warpAffine takes sides below 32767
_MOST_CHANNELS = 4  # of warpAffine
Size = tuple[int, int]
View = tuple[float, bool]  # scale, mirrored

PLAIN: tuple[View, ...] = ((1.0, False),)


def views(tta: Any) -> tuple[View, ...]:
    """Returns the scales and mirrorings that an image is predicted at.

    Args:
        tta: False: the image alone; True: `SCALES`, plain and mirrored; a list of scales, plain and
            mirrored; or a dict of ``scales`` and ``flip``.

    Raises:
        UserError: If it is something else, or a scale is not within 0.1 and 10.

    Example:
        >>> from rein_seg.inference.augment import views
        >>> views(False), views([1]), len(views(True))
        (((1.0, False),), ((1.0, False), (1.0, True)), 6)
        >>> views({'scales': [0.5, 1], 'flip': False})
        ((0.5, False), (1.0, False))
    """
    if tta is False or tta is None:
        return PLAIN
    given = {} if tta is True else tta
    if not isinstance(given, Mapping):
        given = {'scales': given}
    unknown = set(given) - {'scales', 'flip'}
    scales, flip = given.get('scales', SCALES), given.get('flip', True)
    if unknown or not isinstance(flip, bool) or not _are_scales(scales):
        raise UserError(
            f'tta={tta!r}: expected True, False, scales of 0.1 to 10 such as [0.75, 1, 1.25], or '
            'dict(scales=[...], flip=True or False)'
        )
    return tuple(
        (float(scale), mirrored) for scale in scales for mirrored in (False, True)[: 1 + flip]
    )


def _are_scales(scales: Any) -> bool:
    return (
        isinstance(scales, (list, tuple))
        and len(scales) > 0
        and all(
            isinstance(s, (int, float)) and not isinstance(s, bool) and 0.1 <= s <= 10
            for s in scales
        )
    )


def scaled_size(size: Size, scale: float) -> Size:
    """Returns (H, W) at another scale, at least one pixel a side."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def scaled(read: Read, size: Size, to: Size) -> Read:
    """Returns a reader of an image at another size; it reads the pixels that it needs alone.

    Args:
        read: Of the image.
        size: (H, W) of the image.
        to: (h, w) to read it at.
    """
    if size == to:
        return read
    rate = size[0] / to[0], size[1] / to[1]

    def read_scaled(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
        if (y1 - y0) * max(rate[0], 1) > _MOST_SIDE:
            y = (y0 + y1) // 2
            return np.concatenate([read_scaled(y0, x0, y, x1), read_scaled(y, x0, y1, x1)])
        if (x1 - x0) * max(rate[1], 1) > _MOST_SIDE:
            x = (x0 + x1) // 2
            return np.concatenate([read_scaled(y0, x0, y1, x), read_scaled(y0, x, y1, x1)], 1)
        # the centre of a pixel is at + 0.5; two more pixels for the bilinear mean at the border
        starts = [max(0, int((at + 0.5) * r - 0.5)) for at, r in zip((y0, x0), rate, strict=True)]
        ends = [
            min(side, int((at - 0.5) * r - 0.5) + 2)
            for at, r, side in zip((y1, x1), rate, size, strict=True)
        ]
        pixels = read(starts[0], starts[1], ends[0], ends[1])
        shifts = [
            (at + 0.5) * r - 0.5 - start
            for at, r, start in zip((y0, x0), rate, starts, strict=True)
        ]
        return resample(pixels, rate, shifts, (y1 - y0, x1 - x0))

    return read_scaled


def resample(
    pixels: np.ndarray, rate: tuple[float, float], shift: list[float], size: Size
) -> np.ndarray:
    """Returns pixels at other places, bilinear: new (y, x) lies at old (y, x) * rate + shift.

    Args:
        pixels: (H, W, 3) uint8, or (H, W, C) of bands.
        rate: Old pixels a new pixel, down and across.
        shift: Place of the first new pixel in old pixels, down and across.
        size: (h, w) of the result.
    """
    if pixels.shape[2] > _MOST_CHANNELS or pixels.shape[2] == 1:  # OpenCV drops an axis of one
        parts = [pixels[..., i] for i in range(pixels.shape[2])]
        return np.stack([_resample(part, rate, shift, size) for part in parts], -1)
    return _resample(pixels, rate, shift, size)


def _resample(
    pixels: np.ndarray, rate: tuple[float, float], shift: list[float], size: Size
) -> np.ndarray:
    move = np.array([[rate[1], 0, shift[1]], [0, rate[0], shift[0]]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        np.ascontiguousarray(pixels),
        move,
        (size[1], size[0]),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )


def mirrored(read: Read, width: int) -> Read:
    """Returns a reader of an image mirrored from left to right."""

    def read_mirrored(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
        return read(y0, width - x1, y1, width - x0)[:, ::-1]

    return read_mirrored
