"""Sliding windows: places, batches, and the mean where windows overlap.

B batch, K channels of a prediction, H x W image, h x w window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.models.padding import padded_side

Window = tuple[int, int, int, int]
BATCH_WINDOWS = 4


def window_places(image: Sequence[int], crop: Sequence[int], stride: Sequence[int]) -> list[Window]:
    """Returns (top, bottom, left, right) of each window, row by row.

    The last window of a row or column is moved back to the border. A side shorter than the crop
    has one window, as long as the side.

    Args:
        image: (H, W) in pixels.
        crop: (h, w) in pixels.
        stride: (h, w) in pixels.

    Example:
        >>> from rein_seg.models.windows import window_places
        >>> window_places((8, 20), crop=(8, 8), stride=(8, 8))
        [(0, 8, 0, 8), (0, 8, 8, 16), (0, 8, 12, 20)]
    """
    spans = []
    for side, length, step in zip(image, crop, stride, strict=True):
        number = max(side - length + step - 1, 0) // step + 1
        stops = [min(i * step + length, side) for i in range(number)]
        spans.append([(max(stop - length, 0), stop) for stop in stops])
    return [(*rows, *columns) for rows in spans[0] for columns in spans[1]]


def slide(
    image: Tensor,
    predict: Callable[[Tensor], Tensor],
    channels: int,
    *,
    crop_size: Sequence[int],
    stride: Sequence[int],
    batch_windows: int = BATCH_WINDOWS,
    divisor: int = 1,
    least: int = 1,
) -> Tensor:
    """Predicts in windows; a pixel gets the mean over the windows that cover it.

    Args:
        image: (B, C, H, W).
        predict: Turns (n B, C, h, w) crops into (n B, K, h, w) predictions.
        channels: K.
        crop_size: (h, w) in pixels.
        stride: (h, w) in pixels.
        batch_windows: Crops in one call of ``predict``; at least one window of each image.
        divisor: A side shorter than the crop is padded with zeros to a multiple of it.
        least: A shorter side is padded with zeros to it.

    Returns:
        (B, K, H, W) predictions.

    Example:
        >>> import torch
        >>> from rein_seg.models.windows import slide
        >>> image = torch.arange(10.0).expand(1, 1, 4, 10)
        >>> same = slide(image, lambda crops: crops, 1, crop_size=(4, 4), stride=(3, 3))
        >>> torch.equal(same, image)
        True
    """
    height, width = image.shape[-2:]
    image = _pad_short_sides(image, crop_size, divisor, least)
    batch = len(image)
    places = window_places(image.shape[-2:], crop_size, stride)
    total = image.new_zeros(batch, channels, *image.shape[-2:])
    count = image.new_zeros(image.shape[-2:])
    at_once = max(1, batch_windows // batch)
    for start in range(0, len(places), at_once):
        chunk = places[start : start + at_once]
        # (n B, C, h, w): the crops of a window are neighbours
        crops = torch.cat([image[:, :, y0:y1, x0:x1] for y0, y1, x0, x1 in chunk])
        predicted = predict(crops).split(batch)
        for (y0, y1, x0, x1), each in zip(chunk, predicted, strict=True):
            total[:, :, y0:y1, x0:x1] += each
            count[y0:y1, x0:x1] += 1
    return total.div_(count)[..., :height, :width]


def _pad_short_sides(image: Tensor, crop: Sequence[int], divisor: int, least: int) -> Tensor:
    height, width = (
        padded_side(side, divisor if side < length else 1, least) - side
        for side, length in zip(image.shape[-2:], crop, strict=True)
    )
    # of a normalised image zero is the mean colour
    return F.pad(image, (0, width, 0, height)) if height or width else image


def check_test_cfg(cfg: Mapping[str, Any] | None, num_classes: int) -> ConfigDict:
    """Returns a copy of a ``test_cfg``, with its ``mode`` filled in, after checking it.

    Args:
        cfg: See `PEFTSegmentor`; None predicts whole images.
        num_classes: K.

    Raises:
        UserError: If the mode or the resize is unknown, ``crop_size`` or ``stride`` is no pair of
            pixels, windows leave gaps, or ``keep_scores`` has no single foreground class to keep.

    Example:
        >>> from rein_seg.models.windows import check_test_cfg
        >>> check_test_cfg(None, num_classes=19).mode
        'whole'
    """
    test_cfg = ConfigDict(cfg or {})
    if test_cfg.get('keep_scores', False) and num_classes != 2:
        raise UserError(
            f'test_cfg.keep_scores=True keeps the probability of one foreground class, but there '
            f'are {num_classes} classes; use it with num_classes=2'
        )
    if test_cfg.get('resize', 'bilinear') not in ('bilinear', 'nearest'):
        raise UserError(f'test_cfg.resize={test_cfg.resize!r}: expected bilinear or nearest')
    mode = test_cfg.setdefault('mode', 'whole')
    if mode not in ('whole', 'slide'):
        raise UserError(f'test_cfg.mode={mode!r}: expected whole or slide')
    if mode == 'slide':
        _check_windows(test_cfg)
    return test_cfg


def _check_windows(test_cfg: ConfigDict) -> None:
    for key in ('crop_size', 'stride'):
        value = test_cfg.get(key)
        if not isinstance(value, (list, tuple)) or len(value) != 2 or min(value) < 1:
            raise UserError(
                f'test_cfg.{key}={value!r}: mode="slide" needs (height, width) in pixels'
            )
    if any(s > c for s, c in zip(test_cfg.stride, test_cfg.crop_size, strict=True)):
        raise UserError(
            f'test_cfg.stride={tuple(test_cfg.stride)} exceeds '
            f'crop_size={tuple(test_cfg.crop_size)}: pixels between windows would get no score'
        )
