"""Images and labels at half their size: how Rein's protocol takes Mapillary Vistas.

H x W image.
"""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image


@TRANSFORMS.register_module()
class HalveImage(BaseTransform):
    """Halves a loaded image, bicubically as Pillow does (with antialias).

    The halved image counts as the original, so scores are taken at half size. Required keys: img.
    Modified keys: img, img_shape, ori_shape. Added key: file_shape, the size before.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import HalveImage
        >>> result = HalveImage()(dict(img=np.zeros((7, 10, 3), np.uint8)))
        >>> result['img'].shape, result['file_shape'], result['ori_shape']
        ((3, 5, 3), (7, 10), (3, 5))
    """

    def transform(self, results: dict) -> dict:
        """Replaces ``img``, (H, W, 3) uint8, by an image (H // 2, W // 2, 3)."""
        results.setdefault('file_shape', results['img'].shape[:2])
        results['img'] = _halve(results['img'], Image.Resampling.BICUBIC)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class HalveLabel(BaseTransform):
    """Halves a loaded label, taking the nearest pixel.

    Required and modified keys: gt_seg_map, (H, W) uint8 class indexes.
    """

    def transform(self, results: dict) -> dict:
        """Replaces ``gt_seg_map`` by a label (H // 2, W // 2)."""
        results['gt_seg_map'] = _halve(results['gt_seg_map'], Image.Resampling.NEAREST)
        return results


def _halve(array: np.ndarray, resampling: Image.Resampling) -> np.ndarray:
    height, width = array.shape[:2]
    return np.array(Image.fromarray(array).resize((width // 2, height // 2), resampling))
