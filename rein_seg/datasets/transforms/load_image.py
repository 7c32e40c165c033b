"""Loads an image: corrupted, or from a decoded copy, as its data set declares.

H x W image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS

from rein_seg.datasets.files.band_files import read_bands
from rein_seg.datasets.files.decoded import cached
from rein_seg.datasets.files.pictures import STORED, read_image
from rein_seg.datasets.transforms.corruptions import corrupt
from rein_seg.errors import UserError

_COLOR_TYPES = {'color': None, 'color_ignore_orientation': STORED}


@TRANSFORMS.register_module()
class LoadDomainImage(LoadImageFromFile):
    """Loads the image of a sample with `read_image`, the only reader of images here.

    A `DomainDataset` puts it in the place of mmcv's `LoadImageFromFile`; 8-bit images are equal bit
    for bit. Images with ``bands`` are read by `read_bands`. Required key: img_path; optional:
    bands, max_value, orientation, cache_dir, cache_raw, corruption. Added keys: img, img_shape,
    ori_shape, orientation.

    Args:
        to_float32: Whether to convert to float32, 0..255.
        color_type: ``color``; or ``color_ignore_orientation``, as ``orientation='stored'`` of the
            data set.

    Raises:
        UserError: As `read_image`, or for another color_type or backend.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import LoadDomainImage
        >>> _ = cv2.imwrite('image.png', np.zeros((4, 6, 3), np.uint8))
        >>> LoadDomainImage()(dict(img_path='image.png', cache_dir='copies'))['img'].shape
        (4, 6, 3)
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str | None = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        if color_type not in _COLOR_TYPES or imdecode_backend not in ('cv2', None):
            raise UserError(
                f'the step that loads images has color_type={color_type!r}, '
                f'imdecode_backend={imdecode_backend!r}: expected one of {list(_COLOR_TYPES)} and '
                "'cv2', since encoders take three channels and all images have one reader; leave "
                'them out'
            )
        super().__init__(to_float32=to_float32, color_type=color_type, backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Adds ``img``, (H, W, 3) uint8 BGR; with ``bands`` (H, W, C) uint8 or float32."""
        if results.get('bands') is not None:
            return self._load_bands(results)
        path, folder = results['img_path'], results.get('cache_dir')
        corruption, white = results.get('corruption'), results.get('max_value')
        orientation = _COLOR_TYPES[self.color_type] or results.get('orientation')
        if orientation is not None:
            results['orientation'] = orientation  # the label is turned likewise

        def make() -> np.ndarray:
            image = read_image(path, max_value=white, orientation=orientation)
            return image if corruption is None else corrupt(image, corruption, path)

        if folder is None:
            image: Any = make()
        else:
            flavour = f'image {corruption} {white} {orientation}'
            image = cached(folder, path, flavour, make, raw=results.get('cache_raw', False))
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _load_bands(self, results: dict) -> dict:
        image = read_bands(results['img_path'], results['bands'])
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
