"""Images of a program: files, PIL images, arrays and tensors become RGB arrays.

B batch, H x W image.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from rein_seg.bands import Bands, short_list
from rein_seg.datasets.files.band_files import clean_bands, read_bands
from rein_seg.datasets.files.listing import file_on_disk
from rein_seg.datasets.files.pictures import read_image, to_bytes
from rein_seg.errors import UserError
from rein_seg.inference.advice import for_program
from rein_seg.inference.sources import VIDEOS

EXPECTED = (
    'a path, a PIL image, a uint8 array (H, W, 3) in RGB order or (H, W) in grey, a tensor '
    '(3, H, W) or (B, 3, H, W) of uint8 or of floats 0..1, or a list of these'
)


def read_rgb(path: str | os.PathLike, *, max_value: float | None = None) -> np.ndarray:
    """Returns the (H, W, 3) uint8 RGB pixels of a file, as a viewer displays it.

    EXIF turns are applied, alpha is left out, 16 bits become 8; see
    `rein_seg.datasets.files.pictures.read_image`.

    Args:
        path: The file, or a member of a zip.
        max_value: White, for more than 8 bits.

    Raises:
        UserError: If there is no such file, or it is no picture.
    """
    path = os.fspath(path)
    if not Path(file_on_disk(path)).exists():
        raise UserError(f'image {path!r} does not exist: expected {EXPECTED}')
    if path.lower().endswith(VIDEOS):
        raise UserError(f'{path!r} is a video: expected {EXPECTED}; run rein-seg predict for it')
    try:
        return np.ascontiguousarray(read_image(path, max_value=max_value)[..., ::-1])
    except UserError as error:
        raise UserError(for_program(str(error))) from None


def is_batch(source: Any) -> bool:
    """Says whether a source is several images: a list, a tuple, or a tensor with a batch."""
    return isinstance(source, (list, tuple)) or (isinstance(source, Tensor) and source.ndim == 4)


def to_rgb(
    source: Any, name: str = '', *, max_value: float | None = None
) -> tuple[np.ndarray, str]:
    """Returns one image as (H, W, 3) uint8 RGB, and its name.

    Args:
        source: A path, a PIL image, an array or a tensor; see `EXPECTED`.
        name: Of an image that is no file.
        max_value: White, for files and PIL images of more than 8 bits.

    Raises:
        UserError: If it is of another type, shape or range.

    Example:
        >>> import numpy as np
        >>> from rein_seg.inference.images import to_rgb
        >>> to_rgb(np.full((2, 3), 7, np.uint8))[0].shape
        (2, 3, 3)
    """
    if isinstance(source, (str, os.PathLike)):
        return read_rgb(source, max_value=max_value), os.fspath(source)
    if isinstance(source, Image.Image):
        return from_pil(source, max_value), str(getattr(source, 'filename', '') or name)
    if isinstance(source, Tensor):
        return from_tensor(source, name), name
    if isinstance(source, np.ndarray):
        return from_array(source, name), name
    raise UserError(f'{name or "source"} is of type {type(source).__name__}: expected {EXPECTED}')


def to_bands(source: Any, name: str, bands: Bands) -> tuple[np.ndarray, str]:
    """Returns one image as (H, W, C) of a model's bands, and its name.

    Args:
        source: A path, an array (H, W, N) or a tensor (N, H, W), of all bands of the files or of
            the used bands alone.
        name: Of an image that is no file.
        bands: Of the model.

    Raises:
        UserError: If it is of another type or another number of bands.

    Example:
        >>> import numpy as np
        >>> from rein_seg.bands import Bands
        >>> from rein_seg.inference.images import to_bands
        >>> bands = Bands(('red', 'nir'), use=('nir',))
        >>> to_bands(np.zeros((4, 6, 2), np.uint8), 'field', bands)[0].shape
        (4, 6, 1)
    """
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if not Path(file_on_disk(path)).exists():
            raise UserError(f'image {path!r} does not exist: expected {short_list(bands.names)}')
        return read_bands(path, bands), path
    array = source
    if isinstance(source, Tensor) and source.ndim == 3:
        array = source.detach().cpu().permute(1, 2, 0).numpy()
    whole, used = len(bands.names), len(bands.use)
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[2] not in (whole, used):
        shape = tuple(getattr(source, 'shape', ()))
        raise UserError(
            f'{name or "image"} is {type(source).__name__} of shape {shape}: expected a path, an '
            f'array (H, W, N) or a tensor (N, H, W) of {short_list(bands.names)}'
        )
    if array.shape[2] == whole != used:
        array = array[..., list(bands.indexes)]
    return clean_bands(array, bands, name or 'image'), name


def from_array(array: np.ndarray, name: str = '') -> np.ndarray:
    """Returns an array as (H, W, 3) uint8; grey values become three equal channels."""
    if array.ndim == 2 and array.dtype == np.uint8 and array.size:
        return np.repeat(array[..., None], 3, axis=2)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and array.size:
        return np.ascontiguousarray(array)  # OpenCV resizes no mirrored views
    raise UserError(
        f'{name or "image"} is an array of {array.dtype} and shape {array.shape}: expected uint8 '
        '(H, W, 3) in RGB order or (H, W) in grey; drop alpha with image[..., :3], turn BGR with '
        'image[..., ::-1]'
    )


def from_pil(image: Image.Image, max_value: float | None = None) -> np.ndarray:
    """Returns a PIL image as displayed: EXIF turn applied, alpha left out, 16 bits as 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ('I', 'F') or image.mode.startswith('I;16'):
        try:
            return from_array(to_bytes(np.asarray(image), 'the PIL image', max_value))
        except UserError as error:
            raise UserError(for_program(str(error))) from None
    return np.array(image.convert('RGB'))


def from_tensor(tensor: Tensor, name: str = '') -> np.ndarray:
    """Returns a (3, H, W) tensor as (H, W, 3) uint8: floats of 0..1 are multiplied by 255."""
    about = f'{name or "image"} is a tensor of {tensor.dtype} and shape {tuple(tensor.shape)}'
    if tensor.ndim != 3 or tensor.shape[0] != 3 or not tensor.numel():
        raise UserError(f'{about}: expected (3, H, W) or (B, 3, H, W) in RGB order')
    pixels = tensor.detach().cpu()
    if pixels.is_floating_point():
        low, high = pixels.min().item(), pixels.max().item()
        if not (low >= 0 and high <= 1):  # false for NaN, too
            raise UserError(
                f'{about} with values of {low:g} to {high:g}: expected 0..1, not normalised by '
                'mean and deviation, since the model does that; divide 0..255 by 255'
            )
        pixels = (pixels.float() * 255).round().to(torch.uint8)
    if pixels.dtype != torch.uint8:
        raise UserError(f'{about}: expected uint8, or floats of 0..1; convert it with .to(...)')
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
