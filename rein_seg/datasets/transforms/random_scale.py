"""Images resized by a random factor of their own size.

H x W image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import Resize
from mmseg.registry import TRANSFORMS

from rein_seg.errors import UserError


@TRANSFORMS.register_module()
class RandomScale(BaseTransform):
    """Resizes image and label by one factor f, drawn uniformly.

    In contrast, mmcv's `RandomResize` scales a fixed size from its config, whatever the image's
    own. Required and modified keys: as mmseg's `Resize`; img becomes (round(f H), round(f W), 3).

    Args:
        ratio_range: Smallest and largest factor.

    Raises:
        UserError: If the factors are not positive, or the first is the larger.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import RandomScale
        >>> RandomScale((0.5, 0.5))(dict(img=np.zeros((32, 64, 3), np.uint8)))['img'].shape
        (16, 32, 3)
    """

    def __init__(self, ratio_range: Sequence[float]) -> None:
        low, high = ratio_range
        if not 0 < low <= high:
            raise UserError(
                f'RandomScale ratio_range={tuple(ratio_range)}: expected two factors, the smaller '
                'first, such as (0.5, 2.0)'
            )
        self.ratio_range = (float(low), float(high))

    def transform(self, results: dict) -> dict:
        """Draws a factor and resizes by it."""
        factor = np.random.uniform(*self.ratio_range)  # noqa: NPY002  seeded for each sample
        height, width = results['img'].shape[:2]
        scale = (round(width * factor), round(height * factor))
        return Resize(scale=scale, keep_ratio=False).transform(results)
