"""Images of any bands as RGB pictures for overviews and pages.

H x W image, C bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rein_seg.bands import Bands
from rein_seg.datasets.files.band_files import read_bands
from rein_seg.datasets.files.pictures import read_image

_COLOURS = ('red', 'green', 'blue')
_SPAN = 2.0  # standard deviations to each side of the mean, from black to white


def picture_of(path: str, about: Mapping[str, Any]) -> np.ndarray:
    """Returns the (H, W, 3) uint8 RGB picture of an image file, of bands or in colours.

    Args:
        path: Of the file.
        about: Fields of its sample: ``bands``, or ``max_value`` and ``orientation``.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.files.band_pictures import picture_of
        >>> np.save('field.npy', np.zeros((2, 4, 6), np.uint8))
        >>> picture_of('field.npy', dict(bands=dict(names=['nir', 'red'], axes='CHW'))).shape
        (4, 6, 3)
    """
    bands = Bands.of(about.get('bands'))
    if bands is not None:
        return as_rgb(read_bands(path, bands), bands)
    white, orientation = about.get('max_value'), about.get('orientation')
    image = read_image(path, max_value=white, orientation=orientation)
    return np.ascontiguousarray(image[..., ::-1])


def as_rgb(image: np.ndarray, bands: Bands) -> np.ndarray:
    """Returns the (H, W, 3) uint8 RGB picture of an image of bands.

    The bands named red, green and blue are shown; without them the first three; of one or two bands
    the first, in grey. Black is two standard deviations below the mean of a band, white two above;
    without statistics the 2nd and the 98th percentile of the image.

    Args:
        image: (H, W, C).
        bands: Of the file.

    Example:
        >>> import numpy as np
        >>> from rein_seg.bands import Bands
        >>> from rein_seg.datasets.files.band_pictures import as_rgb
        >>> bands = Bands(('nir',), mean=(10.0,), std=(2.0,))
        >>> as_rgb(np.float32([[[6], [10], [14]]]), bands)[..., 0].tolist()
        [[0, 128, 255]]
    """
    shown = shown_bands(bands)
    image = image[..., None] if image.ndim == 2 else image
    chosen = image[..., list(shown)].astype(np.float32)
    if bands.used_mean is not None and bands.used_std is not None:
        mean = np.float32([bands.used_mean[i] for i in shown])
        reach = _SPAN * np.float32([bands.used_std[i] for i in shown])
        low, high = mean - reach, mean + reach
    else:
        there = np.nan_to_num(chosen, nan=0.0)  # of an image without data all is black
        spread = chosen if np.isfinite(chosen).any((0, 1)).all() else there
        low, high = np.nanpercentile(spread, (2, 98), axis=(0, 1)).astype(np.float32)
        high = np.maximum(high, low + 1e-6)
    scaled = np.clip((np.nan_to_num(chosen) - low) / (high - low), 0, 1)
    return np.ascontiguousarray(np.rint(scaled * 255).astype(np.uint8))


def shown_bands(bands: Bands) -> tuple[int, int, int]:
    """Returns the indexes among the used bands that a picture shows as red, green and blue.

    Example:
        >>> from rein_seg.bands import Bands
        >>> from rein_seg.datasets.files.band_pictures import shown_bands
        >>> shown_bands(Bands(('blue', 'green', 'red', 'nir'))), shown_bands(Bands(('nir',)))
        ((2, 1, 0), (0, 0, 0))
    """
    names = [name.lower() for name in bands.use]
    if set(_COLOURS) <= set(names):
        red, green, blue = (names.index(name) for name in _COLOURS)
        return red, green, blue
    return (0, 1, 2) if len(names) >= 3 else (0, 0, 0)
