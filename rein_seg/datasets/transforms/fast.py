"""mmseg's random crop and colour distortion, faster: the same draws, the same output bit for bit.

H x W image.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import PhotoMetricDistortion, RandomCrop
from mmseg.registry import TRANSFORMS

_VALUES = np.arange(256, dtype=np.uint8)
_TRIES = 10


@TRANSFORMS.register_module()
class FastRandomCrop(RandomCrop):
    """mmseg's `RandomCrop`, faster: counts the classes of a crop instead of sorting its pixels.

    Args:
        crop_size: (h, w) in pixels.
        cat_max_ratio: A crop is drawn again (10 times at most) while one class has this share of
            its pixels or more.
        ignore_index: Label that does not count.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import FastRandomCrop
        >>> label = np.repeat(np.arange(2, dtype=np.uint8), 8)[None].repeat(16, axis=0)
        >>> crop = FastRandomCrop((8, 8), cat_max_ratio=0.75)
        >>> result = crop(dict(img=np.zeros((16, 16, 3), np.uint8), gt_seg_map=label,
        ...                    seg_fields=['gt_seg_map']))
        >>> result['img'].shape, 0.25 <= result['gt_seg_map'].mean() <= 0.75
        ((8, 8, 3), np.True_)
    """

    @cache_randomness
    def crop_bbox(self, results: dict) -> tuple:
        """Returns top, bottom, left and right of the crop."""
        label = results.get('gt_seg_map')
        if self.cat_max_ratio >= 1 or label.dtype != np.uint8:
            return super().crop_bbox(results)
        bbox = self._draw(results['img'])
        for _ in range(_TRIES):
            if self._is_mixed(self.crop(label, bbox)):
                break
            bbox = self._draw(results['img'])
        return bbox

    def _draw(self, image: np.ndarray) -> tuple[int, int, int, int]:
        height, width = self.crop_size
        top = np.random.randint(0, max(image.shape[0] - height, 0) + 1)  # noqa: NPY002  as mmseg
        left = np.random.randint(0, max(image.shape[1] - width, 0) + 1)  # noqa: NPY002
        return top, top + height, left, left + width

    def _is_mixed(self, label: np.ndarray) -> bool:
        # OpenCV counts in float32, which is exact up to 2**24 pixels
        counts = cv2.calcHist([label], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        if 0 <= self.ignore_index < 256:
            counts[self.ignore_index] = 0
        return np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio


@TRANSFORMS.register_module()
class FastPhotoMetricDistortion(PhotoMetricDistortion):
    """mmseg's `PhotoMetricDistortion`, faster on uint8 images: by tables of 256 values.

    Each change maps a value of a channel to a value, so a table filled with mmseg's own arithmetic
    gives equal results.

    Args:
        brightness_delta: As in mmseg.
        contrast_range: As in mmseg.
        saturation_range: As in mmseg.
        hue_delta: As in mmseg.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import FastPhotoMetricDistortion
        >>> image = np.full((1, 2, 3), 100, np.uint8)
        >>> FastPhotoMetricDistortion().convert(image, alpha=1.5, beta=20).ravel()[:3]
        array([170, 170, 170], dtype=uint8)
    """

    def convert(self, img: np.ndarray, alpha: float = 1, beta: float = 0) -> np.ndarray:
        """Returns ``img * alpha + beta`` clipped to 0..255, as uint8."""
        if img.dtype != np.uint8:
            return super().convert(img, alpha, beta)
        return cv2.LUT(img, super().convert(_VALUES, alpha, beta))

    def saturation(self, img: np.ndarray) -> np.ndarray:
        """Returns the (H, W, 3) BGR image with its saturation changed, or as it is."""
        if img.dtype != np.uint8:
            return super().saturation(img)
        if not np.random.randint(2):  # noqa: NPY002  as mmseg
            return img
        alpha = np.random.uniform(self.saturation_lower, self.saturation_upper)  # noqa: NPY002
        return _in_hsv(img, (_VALUES, super().convert(_VALUES, alpha), _VALUES))

    def hue(self, img: np.ndarray) -> np.ndarray:
        """Returns the (H, W, 3) BGR image with its hue turned, or as it is."""
        if img.dtype != np.uint8:
            return super().hue(img)
        if not np.random.randint(2):  # noqa: NPY002  as mmseg
            return img
        turn = np.random.randint(-self.hue_delta, self.hue_delta)  # noqa: NPY002
        turned = ((_VALUES.astype(int) + turn) % 180).astype(np.uint8)
        return _in_hsv(img, (turned, _VALUES, _VALUES))


def _in_hsv(img: np.ndarray, tables: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Returns a BGR image after a look-up in each channel of its HSV form."""
    hsv = cv2.LUT(cv2.cvtColor(img, cv2.COLOR_BGR2HSV), np.stack(tables, -1)[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
