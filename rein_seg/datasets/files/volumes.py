"""Slices of volumes in NumPy and HDF5 files, read as pictures: one reader for all that follows.

A slice is written ``volume://FILE/KEY/CASE_sliceNNN.png``; FILE ends in ``.npz`` (a slice) or
``.h5`` (a volume). Its content is a grey PNG of 8 bits: ids of labels, or values 0..1 of images as
0..255. D slices of H x W pixels.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rein_seg.errors import UserError

PREFIX = 'volume://'
IMAGE, LABEL = 'image', 'label'
MOST_VALUES = 2**31  # of a volume
_INSTALL = "pip install 'rein-seg[volumes]'"
_SLACK = 1e-3  # values of images a little below 0 or above 1 are rounding
_NAME = re.compile(r'(.+?)(?:_slice(\d+))?')
_WANTED = 'expected values 0..1: Hounsfield units clipped to -125..275, then scaled'


def slice_path(file: str, key: str, case: str, place: int) -> str:
    """Returns the path of a slice.

    Args:
        file: The npz or h5.
        key: `IMAGE` or `LABEL`.
        case: Name of the volume.
        place: Number of the slice.

    Example:
        >>> from rein_seg.datasets.files.volumes import slice_path, split_path
        >>> path = slice_path('data/a.npy.h5', 'label', 'a', 7)
        >>> path, split_path(path)
        ('volume://data/a.npy.h5/label/a_slice007.png', ('data/a.npy.h5', 'label', 'a', 7))
    """
    return f'{PREFIX}{file}/{key}/{case}_slice{place:03d}.png'


def split_path(path: str) -> tuple[str, str, str, int]:
    """Returns file, key, name of the volume and number of the slice of a path."""
    file, key, name = path.removeprefix(PREFIX).rsplit('/', 2)
    return (file, key, *case_and_place(name.removesuffix('.png')))


def case_and_place(name: str) -> tuple[str, int]:
    """Returns name of the volume and number of the slice of a name without ending.

    Example:
        >>> from rein_seg.datasets.files.volumes import case_and_place
        >>> case_and_place('case0005_slice012'), case_and_place('other')
        (('case0005', 12), ('other', 0))
    """
    match = _NAME.fullmatch(name)
    assert match is not None, name
    return match[1], int(match[2] or 0)


def slice_bytes(path: str) -> bytes:
    """Returns the PNG of a slice.

    Raises:
        UserError: If the file is missing or damaged, lacks the key, holds other than a slice of one
            channel (npz) or a volume (h5), labels that are no whole numbers of 8 bits, or images
            with values outside 0..1; if h5py is not installed.
    """
    file, key, _, place = split_path(path)
    if file.lower().endswith('.npz'):
        with _npz(file) as arrays:
            values = np.asarray(arrays[_known(arrays, key, file)])
        check_shape(values.shape, 2, f'{key} of {file!r}')
    else:
        with _h5(file) as arrays:
            stored = arrays[_known(arrays, key, file)]
            check_shape(stored.shape, 3, f'{key} of {file!r}')
            values = np.asarray(stored[place])
    code = cv2.imencode('.png', _as_bytes(values, key, path), [cv2.IMWRITE_PNG_COMPRESSION, 0])[1]
    return code.tobytes()


def volume_shape(file: str, *, labelled: bool = True) -> tuple[int, ...]:
    """Returns (D, H, W) of the volume in an h5, after checking it against its label.

    Args:
        file: The h5.
        labelled: Whether it has a label.

    Raises:
        UserError: As `slice_bytes`, or if image and label differ in shape.

    Example:
        >>> import h5py
        >>> import numpy as np
        >>> from rein_seg.datasets.files.volumes import volume_shape
        >>> with h5py.File('a.npy.h5', 'w') as file:
        ...     file['image'], file['label'] = np.zeros((2, 3, 4, 5))
        >>> volume_shape('a.npy.h5')
        (3, 4, 5)
    """
    with _h5(file) as arrays:
        keys = (IMAGE, LABEL) if labelled else (IMAGE, IMAGE)
        image, label = (arrays[_known(arrays, key, file)].shape for key in keys)
    check_shape(image, 3, f'image of {file!r}')
    if label != image:
        raise UserError(
            f'volume {file!r}: its label is {label}, its image {image} (slices, height, width): '
            'expected one shape; mend the file, or remove it'
        )
    return image


def check_shape(shape: tuple[int, ...] | None, axes: int, name: str) -> None:
    """Checks that an array is a slice (2 axes) or a volume (3 axes) of one channel.

    Raises:
        UserError: If it is not, or is empty or too large.
    """
    wanted = '(slices, height, width)' if axes == 3 else '(height, width)'
    shape = (0,) * axes if shape is None else shape  # a data set of HDF5 can hold nothing
    if len(shape) != axes:
        raise UserError(
            f'{name} is {tuple(shape)}: expected {wanted}, grey values of one channel; save one '
            'channel, the slices first'
        )
    if 0 in shape:
        raise UserError(f'{name} is {tuple(shape)}, empty: expected {wanted}; remove the file')
    if np.prod([float(side) for side in shape]) > MOST_VALUES:
        raise UserError(f'{name} is {tuple(shape)}: expected at most {MOST_VALUES} values; cut it')


def _as_bytes(values: np.ndarray, key: str, path: str) -> np.ndarray:
    """Returns (H, W) uint8: ids, or grey values."""
    if values.dtype.kind not in 'buif':
        raise UserError(f'{key} {path!r} holds {values.dtype} values: expected numbers')
    low, high = float(values.min()), float(values.max())
    about = f'{key} {path!r} holds {values.dtype} values of {low:g} to {high:g}'
    if key == LABEL:
        if not (low >= 0 and high <= 255) or (values.dtype.kind == 'f' and (values % 1).any()):
            raise UserError(f'{about}: expected whole numbers 0 to 255, ids of classes; mend it')
        return values.astype(np.uint8)
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # false for NaN, too
        raise UserError(f'{about}: {_WANTED}; prepare the file so')
    return np.rint(np.clip(values.astype(np.float64), 0.0, 1.0) * 255).astype(np.uint8)


def _known(arrays: Any, key: str, file: str) -> str:
    if key not in arrays:
        raise UserError(
            f'volume {file!r} has no {key!r}, it has {sorted(arrays)[:8]}: expected image and '
            'label; download it again'
        )
    return key


@contextmanager
def _npz(file: str) -> Iterator[Any]:
    with _one_line(file):
        with zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > 8 * MOST_VALUES:
            raise UserError(f'{file!r} holds {size} bytes, too many for a slice: remove it')
        # without pickles: they could run code
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays


@contextmanager
def _h5(file: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            f'volume {file!r} is HDF5: expected h5py, which reads it; {_INSTALL}'
        ) from error
    with _one_line(file), h5py.File(file, 'r') as content:
        yield {k: v for k, v in content.items() if isinstance(v, h5py.Dataset)}


@contextmanager
def _one_line(file: str) -> Iterator[None]:
    """Turns what readers raise for a damaged file into one line that names it."""
    if not Path(file).is_file():  # a pipe would wait for its other end
        raise UserError(f'volume {file!r} is no file: copy it again, or unpack its zip')
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a parser of a damaged file may raise anything
        reason = ' '.join(str(error).split()) or type(error).__name__
        if 'allow_pickle' in reason:
            reason = 'it holds Python objects, which could run code'
        # a volume is read to count its slices, before any is left out
        way = 'remove it' if Path(file).suffix.lower() != '.npz' else 'skip=[NAME] in the data set'
        raise UserError(
            f'volume {file!r} cannot be read: {reason}; download it again, or leave it out: {way}'
        ) from error
