"""From masks to pictures of regions: threshold, tight box, crop, mean colour outside the mask.

R regions, H x W image, h x w box.
"""

from __future__ import annotations

import torch
from torch import Tensor

Box = tuple[int, int, int, int]


def tight_boxes(masks: Tensor) -> list[Box]:
    """Returns left, top, right, bottom of each mask, in pixels; right and bottom are exclusive.

    Args:
        masks: (R, H, W) of bool, each with a pixel or more.

    Example:
        >>> import torch
        >>> from rein_seg.models.regions import tight_boxes
        >>> mask = torch.zeros(1, 4, 6, dtype=torch.bool)
        >>> mask[0, 1:3, 2:6] = True
        >>> tight_boxes(mask)
        [(2, 1, 6, 3)]
    """
    ends = []
    for axis in (1, 2):  # any pixel of a column, of a row
        line = masks.any(axis).int()
        first = line.argmax(1)
        last = line.shape[1] - line.flip(1).argmax(1)
        ends.append((first, last))
    (left, right), (top, bottom) = ends
    rows = torch.stack([left, top, right, bottom], 1).tolist()
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in rows]


def expand_box(box: Box, factor: float, size: tuple[int, int]) -> Box:
    """Returns a box that is ``factor`` times as wide and high, cut at the borders of the image.

    It grows about its centre; its sides are cut to whole pixels towards zero.

    Args:
        box: Left, top, right, bottom.
        factor: 1 or more.
        size: (H, W) of the image.

    Example:
        >>> from rein_seg.models.regions.crops import expand_box
        >>> expand_box((2, 1, 6, 3), 1.5, (4, 6))
        (1, 0, 6, 3)
    """
    first, last = torch.tensor([box[:2], box[2:]], dtype=torch.float32, device='cpu')
    centre, half = (first + last) * 0.5, (last - first) * factor * 0.5
    (x0, y0), (x1, y1) = (centre - half).tolist(), (centre + half).tolist()
    height, width = size
    return max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height)


def fill_outside(image: Tensor, mask: Tensor, colour: Tensor) -> Tensor:
    """Returns x m + (1 - m) colour: the image in its mask, a colour elsewhere.

    Args:
        image: (..., C, h, w).
        mask: (..., h, w), 0..1.
        colour: (C,).
    """
    mask = mask[..., None, :, :].to(image.dtype)
    return image * mask + (1 - mask) * colour.to(image)[:, None, None]


def crop_regions(
    image: Tensor,
    masks: Tensor,
    colour: Tensor,
    *,
    threshold: float = 0.5,
    expand: float = 1.0,
    matting: bool = False,
) -> tuple[list[Tensor], list[Box], Tensor]:
    """Cuts the regions of masks out of an image.

    Args:
        image: (C, H, W), of any range.
        masks: (Q, H, W) probabilities.
        colour: (C,) outside of masks.
        threshold: A pixel belongs to a region if its probability is larger.
        expand: Factor of the sides of a box.
        matting: Mixes image and colour by the probability; else by the region, 0 or 1.

    Returns:
        R pictures (C, h, w), their boxes, and (Q,) bool: which masks have a region. R is the
        number of these.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.3.

    Example:
        >>> import torch
        >>> from rein_seg.models.regions import crop_regions
        >>> masks = torch.tensor([[[0.9, 0.1], [0.8, 0.2]], [[0.1, 0.1], [0.1, 0.1]]])
        >>> pictures, boxes, valid = crop_regions(torch.ones(3, 2, 2), masks, torch.zeros(3))
        >>> boxes, valid.tolist()
        ([(0, 0, 1, 2)], [True, False])
    """
    inside = masks > threshold
    valid = inside.flatten(1).any(1)
    inside = inside[valid]
    weights = masks[valid] if matting else inside
    size = (image.shape[1], image.shape[2])
    boxes = tight_boxes(inside)
    if expand != 1:
        boxes = [expand_box(box, expand, size) for box in boxes]
    pictures = [
        fill_outside(image[:, y0:y1, x0:x1], weight[y0:y1, x0:x1], colour)
        for (x0, y0, x1, y1), weight in zip(boxes, weights, strict=True)
    ]
    return pictures, boxes, valid
