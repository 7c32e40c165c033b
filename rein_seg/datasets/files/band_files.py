"""Reads images of 1 to 12 bands: TIFF, NumPy arrays, and PNG and JPEG of one to four channels.

H x W image, N bands of the file, C bands that are used.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rein_seg.bands import NAN, Bands
from rein_seg.datasets.files.axes import axis_of_bands, bands_last, page_axes, wrong_count
from rein_seg.datasets.files.listing import read_bytes
from rein_seg.datasets.files.pictures import check_pages, header_of, open_picture
from rein_seg.datasets.files.tiff import Page, is_tiff, pages_of, read_page
from rein_seg.errors import UserError

ARRAY = '.npy'
_NPY = b'\x93NUMPY'
_DTYPES = ('uint8', 'uint16', 'int16', 'float32')
_FAR = 50  # deviations from the mean that no image of the same units has on average
_SMALL = 20  # share of the mean that values of the same units do not all stay below
_MODES = {'L': 1, 'I;16': 1, 'I;16B': 1, 'LA': 2, 'RGB': 3, 'RGBA': 4}


def read_bands(path: str, bands: Bands | Mapping[str, Any]) -> np.ndarray:
    """Returns the (H, W, C) numbers of an image: uint8 as they are, others as float32.

    Pixels without data have the mean of their band; values are clipped to ``value_range``.

    Args:
        path: The file, or a member of a zip.
        bands: Its bands.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it has another number of bands, its axes are not known, its numbers are of
            another kind, not finite, or by far not of the units of mean and std.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.files.band_files import read_bands
        >>> np.save('field.npy', np.full((5, 4, 6), 7, np.uint16))
        >>> names = ['red', 'green', 'blue', 'nir', 'height']
        >>> image = read_bands('field.npy', dict(names=names, axes='CHW', use=['nir', 'red']))
        >>> image.shape, image.dtype
        ((4, 6, 2), dtype('float32'))
    """
    return decode_bands(read_bytes(path), path, bands)


def decode_bands(data: bytes, path: str, bands: Bands | Mapping[str, Any]) -> np.ndarray:
    """Returns the (H, W, C) numbers of a file's content; see `read_bands`."""
    described = Bands.of(bands)
    assert described is not None
    image, declared = _decode(data, path, described)
    used = image if described.use == described.names else image[..., list(described.indexes)]
    return clean_bands(used, described, path, declared=declared)


def clean_bands(
    image: np.ndarray, bands: Bands, path: str, *, declared: str | None = None
) -> np.ndarray:
    """Returns used bands with pixels without data filled, and values clipped.

    Args:
        image: (H, W, C).
        bands: Of the file.
        path: For messages.
        declared: The value without data that the file declares, as a text.

    Raises:
        UserError: As `read_bands`.
    """
    missing = _missing(image, bands, path, declared)
    if image.dtype != np.uint8 or missing is not None:
        image = image.astype(np.float32)
    if missing is not None:
        means = bands.used_mean
        # before statistics are known: they leave NaN out
        for index, mean in enumerate(means or (np.nan,) * image.shape[2]):
            image[..., index][missing[..., index]] = mean
    _check_units(image, bands, path)
    if bands.value_range is not None:
        image = np.clip(image, *bands.value_range).astype(image.dtype)
    return np.ascontiguousarray(image)


def band_size(path: str, bands: Bands | Mapping[str, Any]) -> tuple[int, int]:
    """Returns (H, W) of an image of several bands, without decoding its pixels.

    Raises:
        UserError: As `read_bands`.
    """
    described = Bands.of(bands)
    assert described is not None
    data = read_bytes(path)
    if is_tiff(data):
        page, axes, count = _tiff_form(pages_of(data, path), described, path)
        return page.size if axes != 'HWC' else (count, page.size[0])
    if data[:6] == _NPY:
        shape, _ = _npy_header(data, path)
        place = axis_of_bands(shape, described, path, what='NumPy array')
        return (shape[0], shape[1]) if place == 2 else (shape[1], shape[2])
    with open_picture(data, path) as image:
        return header_of(image, data).stored


def _decode(data: bytes, path: str, bands: Bands) -> tuple[np.ndarray, str | None]:
    """Returns (H, W, N), and the declared value without data."""
    if is_tiff(data):
        return _decode_tiff(data, path, bands)
    if data[:6] == _NPY:
        _npy_header(data, path)
        array = np.load(io.BytesIO(data), allow_pickle=False)
        return bands_last(array, bands, path, what='NumPy array'), None
    with open_picture(data, path) as opened:
        check_pages(opened, path, what='image')
        channels = _MODES.get(opened.mode)
        if channels is None:
            raise UserError(
                f'image {path!r} is a {opened.format} of mode {opened.mode}: expected grey of 8 or '
                '16 bits, RGB or RGBA; save it so, or as TIFF'
            )
        if channels != len(bands.names):
            raise wrong_count(path, channels, bands)
        return _pixels(opened, data, path), None


def _pixels(opened: Image.Image, data: bytes, path: str) -> np.ndarray:
    """Returns (H, W, N) of a PNG, JPEG or the like, as stored; RGB in this order."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    deep = opened.mode in ('RGB', 'RGBA')  # Pillow has no 16 bits in colours
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if deep else np.asarray(opened)
    if pixels is None or pixels.shape[:2] != opened.size[::-1]:
        raise UserError(f'image {path!r} cannot be decoded: expected a whole file; copy it again')
    if deep:
        # a colour that a PNG declares as transparent makes OpenCV add a channel
        order = (2, 1, 0, 3)[: _MODES[opened.mode]]
        pixels = pixels[..., order]
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _decode_tiff(data: bytes, path: str, bands: Bands) -> tuple[np.ndarray, str | None]:
    pages = pages_of(data, path)
    page, axes, count = _tiff_form(pages, bands, path)
    if axes is None:
        return read_page(data, page, path), page.nodata
    stack = [read_page(data, one, path)[..., 0] for one in pages[:count]]
    return np.stack(stack, -1 if axes == 'CHW' else 0), page.nodata


def _tiff_form(pages: Sequence[Page], bands: Bands, path: str) -> tuple[Page, str | None, int]:
    """Returns the first page, the axes of a stack of pages (None: one page), and their number."""
    if not pages:
        raise UserError(f'image {path!r} is a TIFF without a page: expected one; copy it again')
    first = pages[0]
    if len(pages) == 1:
        if first.samples != len(bands.names):
            raise wrong_count(path, first.samples, bands)
        return first, None, 1
    for page in pages:
        if (page.size, page.samples, page.dtype) != (first.size, 1, first.dtype):
            raise UserError(
                f'image {path!r} has {len(pages)} pages of several sizes, kinds or bands: expected '
                'one page, or a page for each band; save the image as a file of its own'
            )
    return first, page_axes(len(pages), first.size, bands, path), len(pages)


def _npy_header(data: bytes, path: str) -> tuple[tuple[int, ...], np.dtype]:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(file)
    except Exception as error:  # noqa: BLE001  a damaged header may raise anything
        raise UserError(
            f'image {path!r} is no NumPy array of numbers: {error}; save it with numpy.save'
        ) from error
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if dtype.name not in _DTYPES or len(data) - file.tell() < expected or not expected:
        raise UserError(
            f'image {path!r} is an array of {dtype}, shape {shape}, in {len(data)} bytes: expected '
            f'a whole array of {", ".join(_DTYPES)}; convert it with .astype, save it again'
        )
    return shape, dtype


def _missing(image: np.ndarray, bands: Bands, path: str, declared: str | None) -> np.ndarray | None:
    """Returns where (H, W, C) has no data, None if it has data everywhere."""
    known, tag = None, _declared_value(declared)
    if bands.nodata is not None and bands.nodata != NAN:
        known = image == bands.nodata
    if bands.nodata is not None and tag is not None:  # of rasters, too, GDAL masks it
        known = (image == tag) if known is None else known | (image == tag)
    odd = ~np.isfinite(image) if image.dtype.kind == 'f' else None
    if odd is not None and odd.any():
        by_tag = bands.nodata is not None and tag is not None and math.isnan(tag)
        if bands.nodata != NAN and not by_tag:
            at = int(odd.any((0, 1)).argmax())
            raise UserError(
                f'image {path!r} has {int(odd.sum())} values that are NaN or infinite, the first '
                f"in band {bands.use[at]!r}: expected numbers; set nodata: 'nan' in the data file "
                'to take the mean of the band there'
            )
        known = odd if known is None else known | odd
    elif bands.nodata is None and tag is not None:
        _check_declared(image, tag, path)
    return known if known is not None and known.any() else None


def _declared_value(declared: str | None) -> float | None:
    try:
        return None if declared is None else float(declared)
    except ValueError:
        return None


def _check_declared(image: np.ndarray, value: float, path: str) -> None:
    count = int((image == value).sum())
    if count:
        raise UserError(
            f'image {path!r} says that {value:g} is no data, and has {count} such values: expected '
            f'nodata; set nodata: {value:g} in the data file to take the mean of the band there'
        )


def _check_units(image: np.ndarray, bands: Bands, path: str) -> None:
    """Refuses an image whose values are by far not of the units of mean and std."""
    means, stds = bands.used_mean, bands.used_std
    if means is None or stds is None:
        return
    flat = image[:: max(1, image.shape[0] // 64), :: max(1, image.shape[1] // 64)]
    flat = flat.reshape(-1, image.shape[2]).astype(np.float64)
    far = np.abs(flat.mean(0) - means) > _FAR * np.array(stds)
    small = np.abs(flat).max(0) * _SMALL < np.abs(means)
    if far.all() or (small.all() and flat.any()):
        low, high = flat.min(), flat.max()
        raise UserError(
            f'image {path!r} has values of {low:g} to {high:g}, and mean is '
            f'{", ".join(f"{mean:g}" for mean in means)}: expected the same units, such as 0..1 or '
            '0..255 in both; compute mean and std again with rein-seg check-data'
        )
