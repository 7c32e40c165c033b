"""Rasters: read and written by rows, with their georeference.

Needs rasterio. H x W raster, n rows.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from rein_seg.bands import NAN, Bands
from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.files.axes import wrong_count
from rein_seg.datasets.files.band_files import clean_bands
from rein_seg.datasets.files.band_pictures import as_rgb
from rein_seg.datasets.files.listing import PREFIX
from rein_seg.datasets.files.pictures import MOST_PIXELS, to_bytes
from rein_seg.errors import UserError

TILE = 256  # rows and columns of a block of the file
# no others: GDAL also takes texts that name other files and addresses
_DRIVERS = {
    **dict.fromkeys((b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'), 'GTiff'),
    **dict.fromkeys((b'\0\0\0\x0c', b'\xff\x4f\xff\x51'), 'JP2OpenJPEG'),
}
_CACHE_MIB = 128  # of GDAL
_LOOK = 2048  # pixels of a side that are enough to see a raster
_GEO_TAGS = (33550, 33922, 34264, 34735)  # pixel scale, tie points, transformation, GeoKeys


def is_raster(path: str) -> bool:
    """Tells whether a TIFF or JPEG 2000 has a georeference, or is too large to be read whole.

    Raises:
        UserError: If it has a georeference and rasterio is not installed.
    """
    if path.startswith(PREFIX) or _driver(path) is None:
        return False
    if importlib.util.find_spec('rasterio') is None:
        if _has_geo_tags(path):
            raise UserError(
                f'raster {path!r} has a georeference: expected rasterio, which keeps it; '
                "pip install 'rein-seg[rasters]'"
            )
        return False
    import rasterio

    try:
        with _quiet(), rasterio.open(os.path.abspath(path), driver=_driver(path)) as file:
            placed = file.crs is not None or bool(file.gcps[0]) or not file.transform.is_identity
            return placed or file.width * file.height > MOST_PIXELS
    except rasterio.errors.RasterioError:  # the reader of images says more
        return False


def _driver(path: str) -> str | None:
    with open(path, 'rb') as file:
        return _DRIVERS.get(file.read(4))


def _has_geo_tags(path: str) -> bool:
    with contextlib.suppress(OSError, ValueError, SyntaxError), Image.open(path) as image:
        return image.format == 'TIFF' and any(tag in image.tag_v2 for tag in _GEO_TAGS)
    return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Bounds GDAL's memory; a raster without georeference is no reason to warn."""
    import rasterio

    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=_CACHE_MIB):
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        yield


class Raster:
    """An opened raster; see `open_raster`.

    Attributes:
        size: (H, W).
        bands: Indexes from 1 of red, green and blue; of grey three times the same; of a model of
            bands all that it takes.
    """

    def __init__(
        self,
        file: Any,
        path: str,
        bands: Sequence[int] | None,
        max_value: float | None,
        described: Bands | None = None,
    ) -> None:
        self.file, self.path, self.described = file, path, described
        self.size = (file.height, file.width)
        if described is not None:
            self._open_bands(described)
            return
        self.bands = _bands(file) if bands is None else tuple(bands)
        self.white = max_value
        self.is_masked = file.dtypes[0].startswith('float') or any(
            flag.name != 'all_valid' for flags in file.mask_flag_enums for flag in flags
        )
        _check_bands(self)
        self._colours = _colour_table(file)
        if file.dtypes[0] != 'uint8':
            self.thumbnail()  # refuses numbers that do not use the range, before hours of work
            self.white = 65535 if max_value is None else max_value

    def _open_bands(self, described: Bands) -> None:
        if self.file.count != len(described.names):
            raise wrong_count(self.path, self.file.count, described)
        self.bands = tuple(index + 1 for index in described.indexes)
        self.is_masked, self._colours = True, None  # what has no data is marked
        # other units are refused before hours of work
        self._band_pixels(described, out_shape=look_size(self.size), checked=True)

    def _band_pixels(self, described: Bands, *, checked: bool = False, **where: Any) -> np.ndarray:
        """Returns (h, w, C) float32; pixels without data have the mean of their band."""
        counted = {}
        if 'out_shape' in where:
            counted = {'out_shape': (len(self.bands), *where.pop('out_shape'))}
        with _reading(self.path):
            pixels = self.file.read(list(self.bands), **counted, **where)
            masks = self.file.read_masks(list(self.bands), **counted, **where)
        pixels = pixels.astype(np.float32)
        missing = ~_has_data(pixels, masks, described)
        means = described.used_mean or (0.0,) * len(self.bands)
        pixels = np.where(missing, np.float32(means)[:, None, None], pixels).transpose(1, 2, 0)
        if checked and missing.all():
            return pixels
        if checked:
            return clean_bands(pixels, described, self.path)
        low, high = described.value_range or (-np.inf, np.inf)
        return np.clip(pixels, low, high).astype(np.float32)

    def read(self, y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
        """Returns (y1 - y0, x1 - x0, 3) uint8 RGB pixels, black without data; or all bands."""
        if self.described is not None:
            return self._band_pixels(self.described, window=((y0, y1), (x0, x1)))
        return self._pixels(window=((y0, y1), (x0, x1)))

    def thumbnail(self) -> np.ndarray:
        """Returns the whole raster in RGB, with at most 2048 pixels a side."""
        look = look_size(self.size)
        if self.described is not None:
            return as_rgb(self._band_pixels(self.described, out_shape=look), self.described)
        return self._pixels(out_shape=look)

    def mark(self, label: np.ndarray, y0: int) -> np.ndarray:
        """Returns classes of rows with the largest number where the raster has no data.

        Args:
            label: (n, W) class indexes.
            y0: First of the rows.
        """
        if not self.is_masked:
            return label
        valid = self._valid(y0, y0 + len(label))
        return np.where(valid, label, np.iinfo(label.dtype).max).astype(label.dtype)

    def _valid(self, y0: int, y1: int) -> np.ndarray:
        window = ((y0, y1), (0, self.size[1]))
        with _reading(self.path):
            if self.described is not None:
                return self._valid_bands(self.described, window)
            valid = self.file.dataset_mask(window=window) > 0
            if self.file.dtypes[0].startswith('float'):
                valid &= np.isfinite(self.file.read(list(set(self.bands)), window=window)).all(0)
        return valid

    def _valid_bands(self, described: Bands, window: Any) -> np.ndarray:
        pixels = self.file.read(list(self.bands), window=window).astype(np.float32)
        masks = self.file.read_masks(list(self.bands), window=window)
        return _has_data(pixels, masks, described).any(0)  # without any band nothing is known

    def _pixels(self, *, out_shape: tuple[int, int] | None = None, **where: Any) -> np.ndarray:
        shape = {} if out_shape is None else {'out_shape': out_shape}
        wanted = sorted(set(self.bands))
        counted = {'out_shape': (len(wanted), *out_shape)} if out_shape else {}
        with _reading(self.path):
            pixels = self.file.read(wanted, **counted, **where)
            valid = self.file.dataset_mask(**shape, **where) > 0
        if pixels.dtype.kind == 'f':
            valid &= np.isfinite(pixels).all(0)
        pixels = np.where(valid, pixels, 0)
        if self._colours is not None:
            return self._colours[pixels[0]] * valid[..., None].astype(np.uint8)
        if pixels.dtype != np.uint8:
            pixels = to_bytes(pixels, f'raster {self.path!r}', self.white)
        return np.stack([pixels[wanted.index(band)] for band in self.bands], -1)


def _bands(file: Any) -> tuple[int, ...]:
    named = {colour.name: index for index, colour in enumerate(file.colorinterp, start=1)}
    if {'red', 'green', 'blue'} <= named.keys():
        return named['red'], named['green'], named['blue']
    return (1, 2, 3) if file.count >= 3 else (1, 1, 1)


def _check_bands(raster: Raster) -> None:
    count = raster.file.count
    if len(raster.bands) != 3 or not all(1 <= band <= count for band in raster.bands):
        raise UserError(
            f'raster {raster.path!r} has {count} bands, bands={list(raster.bands)}: expected '
            f'three numbers of 1 to {count} for red, green and blue; give --bands R G B'
        )


def _colour_table(file: Any) -> np.ndarray | None:
    if file.colorinterp[0].name != 'palette' or file.dtypes[0] != 'uint8':
        return None
    table = np.zeros((256, 3), np.uint8)
    for index, colour in file.colormap(1).items():
        table[index] = colour[:3]
    return table


def _has_data(pixels: np.ndarray, masks: np.ndarray, described: Bands) -> np.ndarray:
    """Returns where (C, h, w) numbers are data, by the file's masks and the described bands."""
    valid = (masks > 0) & np.isfinite(pixels)
    if described.nodata not in (None, NAN):
        valid &= pixels != described.nodata
    return valid


def look_size(size: tuple[int, int]) -> tuple[int, int]:
    """Returns (h, w) of a picture of a raster: at most 2048 pixels a side.

    Example:
        >>> from rein_seg.inference.rasters import look_size
        >>> look_size((4096, 1000)), look_size((30, 20))
        ((2048, 500), (30, 20))
    """
    scale = min(_LOOK / max(size), 1)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


@contextlib.contextmanager
def open_raster(
    path: str,
    *,
    bands: Sequence[int] | None = None,
    max_value: float | None = None,
    described: Bands | None = None,
) -> Iterator[Raster]:
    """Opens a raster.

    Args:
        path: File on disk.
        bands: Indexes from 1 of red, green and blue; default the bands named so, else the first
            three, else the first.
        max_value: White, where numbers have more than 8 bits and not the full range of 16.
        described: Bands of a model that takes others than RGB, in place of the two.

    Raises:
        UserError: If it is damaged, or has no such bands or no known white.
    """
    import rasterio

    with _quiet(), contextlib.ExitStack() as stack:
        with _reading(path):
            file = stack.enter_context(rasterio.open(os.path.abspath(path), driver=_driver(path)))
        yield Raster(file, path, bands, max_value, described)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    import rasterio

    try:
        yield
    except rasterio.errors.RasterioError as error:
        reason = ' '.join(str(error.__cause__ or error).split())
        raise UserError(
            f'raster {path!r} cannot be read: {reason}; expected a whole file; copy it again'
        ) from error


class MapWriter:
    """Writes classes as GeoTIFF, from top to bottom; see `map_writer`.

    Blocks of a compressed file must be written once, so rows wait until a row of blocks is full.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self._held: list[np.ndarray] = []
        self._top = 0

    def add(self, rows: np.ndarray) -> None:
        """Adds (n, W) class indexes of the next rows."""
        self._held.append(rows)
        height = sum(map(len, self._held))
        if height >= TILE:
            self._write(height // TILE * TILE)

    def end(self) -> None:
        """Writes the rows that wait."""
        self._write(sum(map(len, self._held)))

    def _write(self, height: int) -> None:
        if not height:
            return
        held = np.concatenate(self._held)
        rows, self._held = held[:height], [held[height:]]
        top, bottom = self._top, self._top + height
        self.file.write(rows, 1, window=((top, bottom), (0, rows.shape[1])))
        self._top = bottom


@contextlib.contextmanager
def map_writer(path: str | os.PathLike, raster: Raster, palette: np.ndarray) -> Iterator[MapWriter]:
    """Yields a writer of a GeoTIFF with the place of ``raster``, whole or not at all.

    Args:
        path: Ends in ``.tif``.
        raster: Opened source.
        palette: (K, 3) uint8 RGB. Up to 255 classes the file has 8 bits and this colour table.
    """
    import rasterio

    with atomic_path(path) as temporary:
        try:
            with rasterio.open(temporary, 'w', **_profile(raster, len(palette))) as file:
                if raster.file.gcps[0]:
                    file.gcps = raster.file.gcps
                if len(palette) <= 255:
                    table = {i: (*map(int, colour), 255) for i, colour in enumerate(palette)}
                    file.write_colormap(1, table)
                writer = MapWriter(file)
                yield writer
                writer.end()
            with rasterio.open(temporary) as file:  # a full disk may show at the end alone
                file.read(1, window=((raster.size[0] - 1, raster.size[0]), (0, raster.size[1])))
        except rasterio.errors.RasterioError as error:
            reason = f'cannot be written whole; is the disk full? ({" ".join(str(error).split())})'
            raise OSError(errno.EIO, reason, str(path)) from error


def _profile(raster: Raster, num_classes: int) -> dict[str, Any]:
    small = num_classes <= 255
    file = raster.file
    placed = {} if file.transform.is_identity else {'transform': file.transform}
    return {
        **placed,
        'driver': 'GTiff',
        'height': raster.size[0],
        'width': raster.size[1],
        'count': 1,
        'dtype': 'uint8' if small else 'uint16',
        'crs': file.crs,
        'nodata': (255 if small else 65535) if raster.is_masked else None,
        'tiled': True,
        'blockxsize': TILE,
        'blockysize': TILE,
        'compress': 'deflate',
        'bigtiff': 'if_safer',
    }


def small_map(path: str | os.PathLike, size: tuple[int, int]) -> np.ndarray:
    """Returns the (h, w) classes of a written map, by nearest pixels."""
    import rasterio

    with _quiet(), rasterio.open(path) as file:
        return file.read(1, out_shape=size)
