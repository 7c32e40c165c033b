"""Pictures of a class: its box, a random crop of it, the mean colour outside of its pixels.

H x W image, S side of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from rein_seg.errors import UserError
from rein_seg.rules import Count, Positive, Probability

# of OpenAI's models, RGB, 0..255
CLIP_MEAN = (122.7709383, 116.7460125, 104.09373615)
CLIP_STD = (68.5005327, 66.6321579, 70.32316305)
_TRIES = 10  # draws of a crop that must hold pixels of the class


@TRANSFORMS.register_module()
class CropRegion(BaseTransform):
    """Cuts the box of one class out of an image and resizes it.

    Required keys: img, gt_seg_map, region_class. Modified: img, (S, S, 3) uint8. Added:
    region_mask, (S, S) of bool; flip.

    Args:
        size: S.
        area: Smallest and largest share of the box that a random crop keeps; None takes the box.
        ratio: Smallest and largest width over height of a random crop.
        flip_prob: Probability of a mirrored picture.

    Raises:
        UserError: If the label has no pixel of the class, or ``area`` or ``ratio`` is no range.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.3. Differs from it: the ranges of the
    random crop, which the paper does not state, are torchvision's; a crop without a pixel of the
    class is drawn again.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import CropRegion
        >>> image, label = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)
        >>> label[1:3, 2:6] = 4
        >>> result = CropRegion(4)(dict(img=image, gt_seg_map=label, region_class=4))
        >>> result['img'].shape, bool(result['region_mask'].all())
        ((4, 4, 3), True)
    """

    def __init__(
        self,
        size: Count = 224,
        *,
        area: Sequence[float] | None = None,
        ratio: Sequence[Positive] = (3 / 4, 4 / 3),
        flip_prob: Probability = 0.0,
    ) -> None:
        for name, pair, most in (('area', area or (1, 1), 1.0), ('ratio', ratio, np.inf)):
            if len(pair) != 2 or not 0 < pair[0] <= pair[1] <= most:
                raise UserError(
                    f'CropRegion {name}={tuple(pair)}: expected the smallest and the largest '
                    f'value, above 0{" and at most 1" if most == 1 else ""}; such as (0.5, 1)'
                )
        self.size, self.area, self.ratio, self.flip_prob = size, area, ratio, flip_prob

    def transform(self, results: dict) -> dict:
        """Cuts, resizes and mirrors image and mask."""
        mask = results.pop('gt_seg_map') == results['region_class']
        if not mask.any():
            raise UserError(
                f'label {results.get("seg_map_path")!r} has no pixel of class '
                f'{results["region_class"]}: expected a region; count the classes again (remove '
                'the folder .rein_seg of the data)'
            )
        top, left, bottom, right = _box(mask)
        image, mask = results['img'][top:bottom, left:right], mask[top:bottom, left:right]
        if self.area is not None:
            rows, columns = self._crop(mask)
            image, mask = image[rows, columns], mask[rows, columns]
        side = (self.size, self.size)
        image = cv2.resize(np.ascontiguousarray(image), side, interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(mask.astype(np.uint8), side, interpolation=cv2.INTER_NEAREST) > 0
        results['flip'] = bool(np.random.rand() < self.flip_prob)  # noqa: NPY002  seeded
        if results['flip']:
            image, mask = image[:, ::-1].copy(), mask[:, ::-1].copy()
        results.update(img=image, region_mask=mask, img_shape=image.shape[:2])
        results['seg_fields'] = []
        return results

    def _crop(self, mask: np.ndarray) -> tuple[slice, slice]:
        """Draws a part of the box with a pixel of the class; the whole box where none is found."""
        height, width = mask.shape
        assert self.area is not None
        for _ in range(_TRIES):
            area = np.random.uniform(*self.area) * height * width  # noqa: NPY002
            ratio = np.exp(np.random.uniform(*np.log(self.ratio)))  # noqa: NPY002
            w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if not (0 < w <= width and 0 < h <= height):
                continue
            y, x = np.random.randint(height - h + 1), np.random.randint(width - w + 1)  # noqa: NPY002
            if mask[y : y + h, x : x + w].any():
                return slice(y, y + h), slice(x, x + w)
        return slice(None), slice(None)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


@TRANSFORMS.register_module()
class FillOutside(BaseTransform):
    """Paints the pixels outside of a region in the mean colour, which normalisation makes 0.

    Required keys: img (BGR), region_mask. Modified: img, float32, since the mean is no whole
    number.

    Args:
        mean: Mean of the encoder's images, RGB, 0..255; default: CLIP's.
        std: Their standard deviation, read with ``fill_after_normalisation`` alone.
        fill_after_normalisation: Has the pixels outside get the value mean / 255 behind the
            normalisation, as the official code does, in place of 0.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.3.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import FillOutside
        >>> image, mask = np.full((1, 2, 3), 9, np.uint8), np.array([[True, False]])
        >>> FillOutside((1, 2, 3))(dict(img=image, region_mask=mask))['img'].tolist()
        [[[9.0, 9.0, 9.0], [3.0, 2.0, 1.0]]]
    """

    def __init__(
        self,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[Positive] = CLIP_STD,
        *,
        fill_after_normalisation: bool = False,
    ) -> None:
        colour = np.array(mean, np.float64)
        if fill_after_normalisation:  # (colour - mean) / std is mean / 255
            colour = colour + np.array(std) * colour / 255
        self.colour = colour[::-1].astype(np.float32)

    def transform(self, results: dict) -> dict[str, Any]:
        """Paints the image."""
        mask = results['region_mask'][..., None]
        results['img'] = np.where(mask, results['img'].astype(np.float32), self.colour)
        return results
