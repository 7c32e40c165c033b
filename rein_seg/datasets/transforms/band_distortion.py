"""Changes brightness and contrast of each band by itself, in units of its statistics.

H x W image, C bands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from rein_seg.bands import Bands
from rein_seg.errors import UserError


@TRANSFORMS.register_module()
class BandDistortion(BaseTransform):
    """Draws contrast and brightness for each band, or leaves the band as it is.

    A band x becomes (x - mean) * contrast + mean + brightness * std. It stands in for mmseg's
    `PhotoMetricDistortion`, whose saturation and hue need RGB of 8 bits. The image becomes float32.
    Required keys: img, bands.

    Args:
        brightness_std: Largest shift, in standard deviations of the band.
        contrast_range: Smallest and largest factor.
        prob: Of each of the two, for each band.

    Raises:
        UserError: If the image has no bands, or their mean and std are not known.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import BandDistortion
        >>> bands = dict(names=['nir'], mean=[10], std=[2])
        >>> image = np.full((2, 2, 1), 10, np.uint16)
        >>> BandDistortion(brightness_std=0.0)(dict(img=image, bands=bands))['img'].ravel().tolist()
        [10.0, 10.0, 10.0, 10.0]
    """

    def __init__(
        self,
        brightness_std: float = 0.2,
        contrast_range: Sequence[float] = (0.8, 1.25),
        prob: float = 0.5,
    ) -> None:
        low, high = contrast_range
        if brightness_std < 0 or not 0 < low <= high or not 0 <= prob <= 1:
            raise UserError(
                f'BandDistortion brightness_std={brightness_std}, contrast_range={contrast_range}, '
                f'prob={prob}: expected a number from 0, two rising numbers above 0, and 0..1'
            )
        self.brightness_std, self.contrast_range, self.prob = brightness_std, (low, high), prob

    def transform(self, results: dict) -> dict:
        """Changes the bands of ``img``."""
        bands = Bands.of(results.get('bands'))
        if bands is None or bands.used_mean is None or bands.used_std is None:
            raise UserError(
                f'BandDistortion reads the bands of an image, and {results.get("img_path")!r} '
                'has none with mean and std: expected a data set with bands; for RGB take '
                'FastPhotoMetricDistortion'
            )
        mean, std = (np.float32(x) for x in (bands.used_mean, bands.used_std))
        # NumPy's global generator is seeded for each sample
        drawn = np.random.uniform(size=(4, len(mean))).astype(np.float32)  # noqa: NPY002
        low, high = self.contrast_range
        factor = np.where(drawn[0] < self.prob, low + (high - low) * drawn[1], 1)
        shift = np.where(drawn[2] < self.prob, (2 * drawn[3] - 1) * self.brightness_std, 0)
        image = results['img'].astype(np.float32)
        image = image[..., None] if image.ndim == 2 else image  # OpenCV drops an axis of one band
        offset = mean * (1 - factor) + shift * std
        results['img'] = (image * factor + offset).astype(np.float32)
        return results
