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
from rein_seg.resize import resize_to

Window = tuple[int, int, int, int]
WINDOWED = ('slide', 'fit_slide')  # modes of a test whose network sees windows of ``crop_size``
BATCH_WINDOWS = 4
# MiB that windows in one pass may take; measured with DINOv2-S and -B and Mask2Former, a window of
# 512x512 takes 220 to 290 MiB above the model, so one of these goes through a CPU at a time
WINDOW_MEMORY = {'cpu': 256, 'cuda': 4096}
BYTES_PER_PIXEL = 1024


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


def windows_at_once(
    crop: Sequence[int], test_cfg: Mapping[str, Any], device: torch.device, *, images: int = 1
) -> int:
    """Returns how many windows of each image go through the model together, at least one.

    As many as the budget holds, at 1 KiB for a pixel, and at most ``batch_windows``.

    Args:
        crop: (h, w) in pixels.
        test_cfg: With ``batch_windows`` (default 4) and ``window_memory`` in MiB (default 256 on a
            CPU, 4096 on a GPU).
        device: Of the model.
        images: B.

    Example:
        >>> import torch
        >>> from rein_seg.models.windows import windows_at_once
        >>> cpu = torch.device('cpu')
        >>> windows_at_once((512, 512), {}, cpu), windows_at_once((256, 256), {}, cpu)
        (1, 4)
        >>> windows_at_once((512, 512), {'window_memory': 768}, cpu)
        3
    """
    budget = test_cfg.get('window_memory') or WINDOW_MEMORY.get(device.type, WINDOW_MEMORY['cuda'])
    fitting = int(budget * 2**20) // (BYTES_PER_PIXEL * crop[0] * crop[1])
    most = int(test_cfg.get('batch_windows', BATCH_WINDOWS))
    return max(1, min(most, fitting) // images)


def slide(
    image: Tensor,
    predict: Callable[[Tensor], Tensor],
    channels: int,
    *,
    crop_size: Sequence[int],
    stride: Sequence[int],
    at_once: int = BATCH_WINDOWS,
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
        at_once: Windows of each image in one call of ``predict``; see `windows_at_once`.
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
    places = window_places(image.shape[-2:], crop_size, stride)
    return _mean_of_windows(image, predict, channels, places, at_once)[..., :height, :width]


def fit_slide(
    image: Tensor,
    predict: Callable[[Tensor], Tensor],
    channels: int,
    *,
    side: int,
    at_once: int = BATCH_WINDOWS,
) -> Tensor:
    """Predicts in square windows along the long side of the image, resized to their side.

    The resize is bilinear with antialiasing, as Pillow's. Windows overlap evenly and as little as
    they can, see `fit_places`; a pixel gets the mean, which is resized bilinearly to the image.

    Args:
        image: (B, C, H, W).
        predict: Turns (n B, C, S, S) crops into (n B, K, S, S) predictions.
        channels: K.
        side: S in pixels.
        at_once: Windows of each image in one call of ``predict``; see `windows_at_once`.

    Returns:
        (B, K, H, W) predictions.

    Source: the test of Kerssies et al., "Your ViT is Secretly an Image Segmentation Model" (CVPR
    2025). Differs from it: values are not rounded to bytes after the first resize.

    Example:
        >>> import torch
        >>> from rein_seg.models.windows import fit_slide
        >>> fit_slide(torch.ones(1, 3, 6, 10), lambda crops: crops, 3, side=4).shape
        torch.Size([1, 3, 6, 10])
    """
    size = image.shape[-2:]
    resized = fit_image(image, side)
    places = fit_places(resized.shape[-2:], side)
    return resize_to(_mean_of_windows(resized, predict, channels, places, at_once), size)


def fit_image(image: Tensor, side: int) -> Tensor:
    """Resizes (B, C, H, W) so that the short side is S, bilinearly with antialiasing.

    Example:
        >>> import torch
        >>> from rein_seg.models.windows import fit_image
        >>> fit_image(torch.ones(1, 3, 75, 50), 32).shape
        torch.Size([1, 3, 48, 32])
    """
    factor = max(side / length for length in image.shape[-2:])
    size = [round(length * factor) for length in image.shape[-2:]]
    if size == list(image.shape[-2:]):
        return image
    return F.interpolate(image, size=size, mode='bilinear', antialias=True)


def fit_places(size: Sequence[int], side: int) -> list[Window]:
    """Returns (top, bottom, left, right) of the fewest S x S windows that cover the long side.

    Window j of n begins at int(j (S - (n S - long) / (n - 1))), and the last ends with the image.

    Args:
        size: (H, W) of an image whose short side is S.
        side: S in pixels.

    Example:
        >>> from rein_seg.models.windows import fit_places
        >>> fit_places((32, 80), 32)
        [(0, 32, 0, 32), (0, 32, 24, 56), (0, 32, 48, 80)]
    """
    height, width = size
    long = max(size)
    number = -(-long // side)
    step = side - (number * side - long) / max(number - 1, 1)
    # the product for the last can round to just below long - S, which would leave a pixel out
    starts = [*(int(j * step) for j in range(number - 1)), long - side]
    if width >= height:
        return [(0, side, start, start + side) for start in starts]
    return [(start, start + side, 0, side) for start in starts]


def _mean_of_windows(
    image: Tensor,
    predict: Callable[[Tensor], Tensor],
    channels: int,
    places: Sequence[Window],
    at_once: int,
) -> Tensor:
    batch = len(image)
    total = image.new_zeros(batch, channels, *image.shape[-2:])
    count = image.new_zeros(image.shape[-2:])
    for start in range(0, len(places), at_once):
        chunk = places[start : start + at_once]
        # (n B, C, h, w): the crops of a window are neighbours
        crops = torch.cat([image[:, :, y0:y1, x0:x1] for y0, y1, x0, x1 in chunk])
        predicted = predict(crops).split(batch)
        for (y0, y1, x0, x1), each in zip(chunk, predicted, strict=True):
            total[:, :, y0:y1, x0:x1] += each
            count[y0:y1, x0:x1] += 1
    return total.div_(count)


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
            pixels, windows leave gaps, a window of fit_slide is not square, or ``keep_scores`` has
            no single foreground class to keep.

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
    if mode not in ('whole', *WINDOWED):
        raise UserError(f'test_cfg.mode={mode!r}: expected whole, slide or fit_slide')
    if mode == 'slide':
        _check_windows(test_cfg)
    if mode == 'fit_slide':
        crop = test_cfg.get('crop_size')
        if not _is_pair(crop) or crop[0] != crop[1]:
            raise UserError(
                f'test_cfg.crop_size={crop!r}: mode="fit_slide" resizes the short side of an image '
                'to the side of the window, which must be square, such as (512, 512)'
            )
    return test_cfg


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and min(value) >= 1


def _check_windows(test_cfg: ConfigDict) -> None:
    for key in ('crop_size', 'stride'):
        value = test_cfg.get(key)
        if not _is_pair(value):
            raise UserError(
                f'test_cfg.{key}={value!r}: mode="slide" needs (height, width) in pixels'
            )
    if any(s > c for s, c in zip(test_cfg.stride, test_cfg.crop_size, strict=True)):
        raise UserError(
            f'test_cfg.stride={tuple(test_cfg.stride)} exceeds '
            f'crop_size={tuple(test_cfg.crop_size)}: pixels between windows would get no score'
        )
