"""Loads an image: corrupted, or from a decoded copy, as its data set declares.

H x W image.
"""

from __future__ import annotations

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS

from rein_seg.datasets.files.decoded import cached
from rein_seg.datasets.transforms.corruptions import corrupt


@TRANSFORMS.register_module()
class LoadDomainImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile`, for data sets with ``cache_dir`` or ``corruption``.

    Without them it is `LoadImageFromFile`. Required key: img_path; optional: cache_dir,
    cache_raw, corruption. Added keys: img, img_shape, ori_shape.

    Args:
        **kwargs: As `LoadImageFromFile`.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import LoadDomainImage
        >>> _ = cv2.imwrite('image.png', np.zeros((4, 6, 3), np.uint8))
        >>> LoadDomainImage()(dict(img_path='image.png', cache_dir='copies'))['img'].shape
        (4, 6, 3)
    """

    def transform(self, results: dict) -> dict | None:
        """Adds ``img``, (H, W, 3) uint8 BGR."""
        path, folder = results['img_path'], results.get('cache_dir')
        corruption = results.get('corruption')

        def make() -> np.ndarray:
            # no bare super() here: a nested function has no implicit self
            image = super(LoadDomainImage, self).transform(results)['img']
            return image if corruption is None else corrupt(image, corruption, path)

        if folder is not None:
            flavour = f'image {self.color_type} {self.imdecode_backend} {corruption}'
            image = cached(folder, path, flavour, make, raw=results.get('cache_raw', False))
        elif corruption is not None:
            image = make()
        else:
            return super().transform(results)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
