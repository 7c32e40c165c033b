"""Turns and flips of slices, which have no top of their own.

H x W image.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from rein_seg.errors import UserError


@TRANSFORMS.register_module()
class TurnOrRotate(BaseTransform):
    """Turns a sample by quarters and flips it, or rotates it by a few degrees, or leaves it.

    With probability ``prob`` the image is turned by 0 to 3 quarters (a slice that is not square by
    0 or 2) and flipped along one axis; else, with probability ``prob``, rotated about its centre,
    both with the nearest pixel, and what enters from outside is 0: air, and the background.
    Required and modified keys: img, and the labels that seg_fields names.

    Args:
        prob: Of each of the two choices.
        degree: Largest angle of the rotation.

    Raises:
        UserError: If the probability is not in 0..1, or the angle not in 0..180.

    Source: the augmentation of TransUNet (Chen et al., 2021). Differs from it: slices that are not
        square keep their shape; OpenCV rotates, not SciPy.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import TurnOrRotate
        >>> TurnOrRotate()(dict(img=np.zeros((4, 6, 3), np.uint8)))['img'].shape
        (4, 6, 3)
    """

    def __init__(self, prob: float = 0.5, degree: float = 20.0) -> None:
        if not (0 <= prob <= 1 and 0 <= degree <= 180):
            raise UserError(
                f'TurnOrRotate prob={prob}, degree={degree}: expected a probability 0..1 and an '
                'angle 0..180, such as 0.5 and 20'
            )
        self.prob, self.degree = prob, degree

    def transform(self, results: dict) -> dict:
        """Draws what happens, and does the same to image and label."""
        # NumPy's global generator is seeded for each sample
        if np.random.uniform() < self.prob:  # noqa: NPY002
            quarters, axis = int(np.random.randint(4)), int(np.random.randint(2))  # noqa: NPY002
            height, width = results['img'].shape[:2]
            if height != width:
                quarters = 2 * (quarters // 2)
            self._apply(results, lambda a: np.flip(np.rot90(a, quarters), axis))
        elif np.random.uniform() < self.prob:  # noqa: NPY002
            angle = np.random.uniform(-self.degree, self.degree)  # noqa: NPY002
            self._apply(results, lambda a: rotate(a, angle))
        return results

    def _apply(self, results: dict, change: Callable[[np.ndarray], np.ndarray]) -> None:
        for key in ('img', *results.get('seg_fields', ())):
            results[key] = np.ascontiguousarray(change(results[key]))


def rotate(array: np.ndarray, angle: float) -> np.ndarray:
    """Returns (H, W, ...) rotated anticlockwise about its centre, with the nearest pixels.

    Args:
        array: Image or label.
        angle: In degrees.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.transforms.turn import rotate
        >>> rotate(np.uint8([[1, 2], [3, 4]]), 90.0)
        array([[2, 4],
               [1, 3]], dtype=uint8)
    """
    height, width = array.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(array, matrix, (width, height), flags=cv2.INTER_NEAREST)
