"""Images in the colours of another image of their data set.

H x W image.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from rein_seg.datasets.files.reference_pool import ReferencePool
from rein_seg.datasets.transforms.load_image import LoadDomainImage
from rein_seg.errors import UserError

_SMALLEST_STD = 1e-6  # grey levels; a channel of one value has no spread to change


@TRANSFORMS.register_module()
class LABExchange(BaseTransform):
    """Gives an image the colour statistics of another image; its label stays as it is.

    Both go to 8-bit LAB, where each channel takes the mean and the standard deviation of the
    reference's. The reference comes from the images whose names fit ``pattern``, with probability
    ``prob``, else from the others; for sample i it is number i of these, modulo their count. An
    image that would be its own reference takes the next. If no name fits, or all do, all images are
    one pool.

    Required keys: img, img_path, pool, sample_idx. Modified key: img.

    Args:
        pattern: Regular expression of a whole file name without its suffix; by default names of
            digits alone, which in PraNet's training set are CVC-ClinicDB's.
        prob: Probability of a reference whose name fits.
        wrap: Whether values outside 0..255 wrap around, as in the official code. They are clipped
            by default.

    Raises:
        UserError: If ``prob`` is no probability, ``pattern`` no regular expression, or the sample
            comes from no `DomainDataset` or from a data set of one image.

    Source: the data loader of Tang et al., "DuAT" (PRCV 2023). Differs from it: see ``wrap``; a
    channel of one value does not divide by zero; no image is its own reference.

    Example:
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import BinaryFolderDataset
        >>> for i, value in ((1, 50), (2, 200)):
        ...     for folder in ('images', 'masks'):
        ...         Path('polyps', folder).mkdir(parents=True, exist_ok=True)
        ...     _ = cv2.imwrite(f'polyps/images/{i}.png', np.full((4, 4, 3), value, np.uint8))
        ...     _ = cv2.imwrite(f'polyps/masks/{i}.png', np.zeros((4, 4), np.uint8))
        >>> steps = [dict(type='LoadDomainImage'), dict(type='LABExchange')]
        >>> dataset = BinaryFolderDataset('polyps', data_root='polyps', pipeline=steps)
        >>> dataset[0]['img'].max()
        np.uint8(200)
    """

    def __init__(self, *, pattern: str = r'\d+', prob: float = 0.7, wrap: bool = False) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'LABExchange prob={prob}: expected a probability, 0 to 1')
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(
                f'LABExchange pattern={pattern!r} is no regular expression ({error}): expected one '
                r"of file names without suffix, such as '\d+'"
            ) from error
        self.pattern, self.prob, self.wrap = pattern, prob, wrap
        self._load = LoadDomainImage()

    def transform(self, results: dict) -> dict:
        """Replaces ``img``, (H, W, 3) uint8 BGR."""
        pool, image = results.get('pool'), results['img']
        if pool is None:
            raise UserError(
                'LABExchange takes the colours of another image of the data set, and this sample '
                'knows of none: take a data set of rein_seg, such as FolderDataset'
            )
        if image.dtype != np.uint8:
            raise UserError(
                f'LABExchange: image {results["img_path"]!r} is {image.dtype}, expected uint8: put '
                'the step before others, and leave to_float32 out of the step that loads images'
            )
        fitting = np.random.uniform() < self.prob  # noqa: NPY002  seeded for each sample
        path = self._reference(pool, results, fitting=fitting)
        reference = self._load(dict(results, img_path=path))['img']
        results['img'] = exchange(image, reference, wrap=self.wrap)
        return results

    def _reference(self, pool: ReferencePool, results: dict, *, fitting: bool) -> str:
        paths = pool.by_name(self.pattern)[0 if fitting else 1] or pool.paths
        own, index = results['img_path'], results['sample_idx']
        if set(paths) == {own}:
            paths = pool.paths
        path = paths[index % len(paths)]
        if path == own:
            path = paths[(index + 1) % len(paths)]
        if path == own:
            raise UserError(
                f'LABExchange: {own!r} is the only image of its data set: leave the step out, or '
                'add images'
            )
        return path


def exchange(image: np.ndarray, reference: np.ndarray, *, wrap: bool = False) -> np.ndarray:
    """Returns an image with the LAB statistics of another image.

    Args:
        image: (H, W, 3) uint8 BGR.
        reference: (h, w, 3) uint8 BGR.
        wrap: Whether values outside 0..255 wrap around.

    Returns:
        (H, W, 3) uint8 BGR.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.transforms.lab_exchange import exchange
        >>> exchange(np.full((2, 2, 3), 9, np.uint8), np.full((1, 1, 3), 70, np.uint8))[0, 0]
        array([70, 70, 70], dtype=uint8)
    """
    values = exchange_lab(*(cv2.cvtColor(x, cv2.COLOR_BGR2LAB) for x in (image, reference)))
    # a cast truncates: through integers, since that of values outside 0..255 is not defined
    whole = np.trunc(values).astype(np.int64)
    lab = (whole if wrap else whole.clip(0, 255)).astype(np.uint8)
    return cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)


def exchange_lab(lab: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns (H, W, 3) float64 with the mean and deviation of each channel of ``reference``."""
    pixels, others = (x.reshape(-1, 3).astype(np.float64) for x in (lab, reference))
    std = np.maximum(pixels.std(0), _SMALLEST_STD)
    return (lab - pixels.mean(0)) / std * others.std(0) + others.mean(0)
