"""Labels of an image from the predictions of a head.

K channels of a prediction, h x w network input, H x W image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.errors import NotFinite
from rein_seg.evaluation.calibration import grid
from rein_seg.heads.contract import DecodeHead

Resize = Callable[[Tensor], Tensor]


def postprocess(
    predicted: Tensor,
    head: DecodeHead,
    size: tuple[int, int],
    *,
    nearest: bool = False,
    keep_scores: bool = False,
    keep_logits: bool = False,
    keep_confidence: bool = False,
) -> dict[str, Tensor]:
    """Returns the labels of one image in its size, and on request the numbers behind them.

    Equal to mmseg's, which resizes all classes at once and searches the best class along the slow
    axis.

    Args:
        predicted: (K, h, w) logits or scores, without padding.
        head: The head that made them.
        size: (H, W) of the image in pixels.
        nearest: Takes the label of the nearest predicted pixel; else predictions are resized
            bilinearly before their best class is taken.
        keep_scores: Adds ``pred_scores``, (1, H, W) float32: the probability of the second of two
            classes.
        keep_logits: Adds ``seg_logits``, (K, H, W): the resized predictions; with one channel the
            probability, as in mmseg.
        keep_confidence: Adds ``confidence``, (1, h', w') float32: the probability of the predicted
            class at the pixels of `rein_seg.evaluation.calibration.grid`.

    Returns:
        ``pred_sem_seg``, (1, H, W) int64, and the requested maps.

    Raises:
        NotFinite: If the best prediction of a pixel is not a finite number.
    """
    resize = partial(_resize, size=size, align_corners=head.align_corners)
    raw = predicted
    if nearest:
        predicted = F.interpolate(predicted[None], size=size, mode='nearest-exact')[0]
    if keep_scores or keep_logits or head.sigmoid:
        predicted = resize(predicted)
    if head.sigmoid:
        predicted = predicted.sigmoid()
        check_finite(predicted)
        label = (predicted > head.threshold).long()
    else:
        label = best_class(predicted, resize)
    result = {'pred_sem_seg': label}
    if keep_scores:
        scores = predicted if head.sigmoid else head.probabilities(predicted[None])[0, 1:]
        result['pred_scores'] = scores.float()
    if keep_logits:
        result['seg_logits'] = predicted
    if keep_confidence:
        result['confidence'] = confidence(raw, label, head)
    return result


def confidence(predicted: Tensor, label: Tensor, head: DecodeHead) -> Tensor:
    """Returns (1, h', w') float32 probabilities of predicted classes, at the pixels of a grid.

    The predictions are interpolated at these pixels alone, as `postprocess` resizes them.

    Args:
        predicted: (K, h, w) logits or scores, without padding.
        label: (1, H, W) predicted classes.
        head: The head that made them.
    """
    rows, columns = grid(tuple(label.shape[1:]))
    values = predicted[None].float()
    if values.shape[2:] == label.shape[1:]:
        values = values[..., rows, columns]
    else:
        places = [
            _places(length, part, head.align_corners, values.device)
            for length, part in zip(label.shape[1:], (rows, columns), strict=True)
        ]
        y, x = torch.meshgrid(*places, indexing='ij')
        where = torch.stack([x, y], -1)[None]
        values = F.grid_sample(
            values, where, padding_mode='border', align_corners=head.align_corners
        )
    label = label[:, rows, columns]
    probability = head.probabilities(values)[0]
    if head.sigmoid:
        return torch.where(label > 0, probability, 1 - probability)
    return probability.gather(0, label)


def _places(length: int, part: slice, align_corners: bool, device: torch.device) -> Tensor:
    """Returns pixels of a side as `grid_sample` counts them: -1 and 1 are its ends."""
    at = torch.arange(length, device=device, dtype=torch.float32)[part]
    return 2 * at / max(length - 1, 1) - 1 if align_corners else (2 * at + 1) / length - 1


def unpad(predicted: Tensor, meta: Mapping[str, Any]) -> Tensor:
    """Returns (K, h, w) predictions of an image without its padding and its flip.

    Args:
        predicted: (K, h', w') of the network's input.
        meta: mmseg's metainfo of the image.

    Example:
        >>> import torch
        >>> from rein_seg.models.postprocess import unpad
        >>> unpad(torch.zeros(3, 8, 8), dict(padding_size=(0, 2, 0, 1))).shape
        torch.Size([3, 7, 6])
    """
    padding = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
    left, right, top, bottom = padding
    height, width = predicted.shape[1:]
    predicted = predicted[:, top : height - bottom, left : width - right]
    if meta.get('flip'):
        predicted = predicted.flip(-1 if meta['flip_direction'] == 'horizontal' else -2)
    return predicted


def _resize(predicted: Tensor, *, size: tuple[int, int], align_corners: bool) -> Tensor:
    if tuple(predicted.shape[1:]) == size:
        return predicted
    image = predicted[None]
    return F.interpolate(image, size=size, mode='bilinear', align_corners=align_corners)[0]


def best_class(predicted: Tensor, resize: Resize) -> Tensor:
    """Returns the (1, H, W) best class of (K, h, w) predictions after resizing; ties: the first.

    Resizes class by class: all classes in the size of the image would be the largest tensor of a
    test.

    Args:
        predicted: (K, h, w).
        resize: Turns (k, h, w) into (k, H, W).

    Example:
        >>> import torch
        >>> from rein_seg.models.postprocess import best_class
        >>> best_class(torch.tensor([[[0.0, 3.0]], [[1.0, 2.0]]]), lambda x: x)
        tensor([[[1, 0]]])
    """
    predicted = predicted.detach()
    first = resize(predicted[:1])
    if first.shape[1:] == predicted.shape[1:]:
        best, label = predicted.max(0, keepdim=True)  # argmax takes five times as long
        check_finite(best)
        return label
    best, label = first, torch.zeros_like(first, dtype=torch.int16)
    for k in range(1, len(predicted)):
        each = resize(predicted[k : k + 1])
        label.masked_fill_(each > best, k)  # not >=: of equal classes the first wins
        torch.maximum(best, each, out=best)
    check_finite(best)
    return label.long()


def check_finite(best: Tensor) -> None:
    """Checks the best predictions of pixels.

    Raises:
        NotFinite: If any is NaN or infinite.
    """
    # a single class may be -inf, as a head that excludes it says
    if not best.isfinite().all():
        count = int((~best.isfinite()).sum())
        raise NotFinite(
            f'the predictions of {count} of {best.numel()} pixels are not finite: the weights, or '
            'the precision (--amp), do not suit the model'
        )
