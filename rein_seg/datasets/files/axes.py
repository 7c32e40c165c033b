"""The order of the axes of an array that is an image of several bands.

H x W image, N bands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rein_seg.bands import Bands, short_list
from rein_seg.errors import UserError


def bands_last(array: np.ndarray, bands: Bands, path: str, *, what: str) -> np.ndarray:
    """Returns an array as (H, W, N).

    Args:
        array: (H, W) of one band, or three axes.
        bands: Its bands; their ``axes`` say the order.
        path: Of the file, for messages.
        what: Of the file, for messages, such as ``.npy``.

    Raises:
        UserError: If the order is not stated, or the stated axis has another length than there are
            bands.

    Example:
        >>> import numpy as np
        >>> from rein_seg.bands import Bands
        >>> from rein_seg.datasets.files.axes import bands_last
        >>> bands = Bands(('red', 'nir'), axes='CHW')
        >>> bands_last(np.zeros((2, 4, 6)), bands, 'a.npy', what='.npy').shape
        (4, 6, 2)
    """
    place = axis_of_bands(array.shape, bands, path, what=what)
    if array.ndim == 2:
        return array[..., None]
    return array if place == 2 else array.transpose(1, 2, 0)


def axis_of_bands(shape: Sequence[int], bands: Bands, path: str, *, what: str) -> int:
    """Returns the axis of the bands, 0 or 2; see `bands_last`."""
    shape = tuple(int(side) for side in shape)
    about = f'image {path!r} is a {what} of shape {shape}'
    if len(shape) == 2 and len(bands.names) == 1:
        return 2
    if len(shape) != 3:
        raise UserError(
            f'{about}: expected (H, W, N) or (N, H, W) with {short_list(bands.names)}; save it so'
        )
    if bands.axes is None:
        raise UserError(
            f'{about}, and nothing says which axis the bands are: expected axes; set axes: CHW in '
            'the data file if the bands come first, axes: HWC if they come last'
        )
    place = 0 if bands.axes == 'CHW' else 2
    if shape[place] != len(bands.names):
        raise wrong_count(path, shape[place], bands, f', read as axes={bands.axes}')
    return place


def wrong_count(path: str, count: int, bands: Bands, how: str = '') -> UserError:
    """Returns the error of a file that has another number of bands than described."""
    return UserError(
        f'image {path!r} has {count} band{"s" * (count != 1)}{how}: expected '
        f'{short_list(bands.names)}; correct bands in the data file, or leave the image out'
    )


def page_axes(pages: int, size: tuple[int, int], bands: Bands, path: str) -> str:
    """Returns the order of the axes of a TIFF that is a stack of pages of one sample.

    Args:
        pages: Number of pages.
        size: (h, w) of a page.
        bands: Of the file.
        path: For messages.

    Raises:
        UserError: If the number of bands fits none of the two readings, or both.
    """
    count, readings = len(bands.names), {'CHW': pages, 'HWC': size[1]}
    if bands.axes is not None:
        if readings[bands.axes] != count:
            raise wrong_count(path, readings[bands.axes], bands, f', read as axes={bands.axes}')
        return bands.axes
    fitting = [axes for axes, number in readings.items() if number == count]
    if fitting == ['CHW']:  # a page is a band
        return 'CHW'
    shape = (pages, *size)
    if not fitting:
        raise wrong_count(path, pages, bands, f' or pages of one sample, shape {shape}')
    raise UserError(
        f'image {path!r} is a stack of {pages} pages of {size} (height, width): expected axes, '
        f'since a page may be a band or a row of the image with {count} bands; set axes: CHW '
        '(a page is a band) or axes: HWC (a page is a row) in the data file'
    )
