"""The 15 corruptions of ImageNet-C at 5 severities, made as an image is loaded.

They come from ``imagecorruptions-imaug``, an optional dependency: see
docs/background/decisions/0014-corruptions.md.

H x W image.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from types import ModuleType

import numpy as np

from rein_seg.errors import UserError, near_misses

CORRUPTIONS = (
    'gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur', 'motion_blur',
    'zoom_blur', 'snow', 'frost', 'fog', 'brightness', 'contrast', 'elastic_transform', 'pixelate',
    'jpeg_compression',
)  # fmt: skip
SEVERITIES = range(1, 6)
_INSTALL = "pip install 'rein-seg[corruptions]'"
# These functions have a random generator of their own, so they take the seed as an argument.
_SEEDED = ('impulse_noise', 'glass_blur')


def check_corruption(corruption: Sequence) -> tuple[str, int]:
    """Returns the name and the severity.

    Raises:
        UserError: If they are not known, or the library is missing or too old.
    """
    values = tuple(corruption)
    if len(values) != 2 or values[0] not in CORRUPTIONS or values[1] not in SEVERITIES:
        name = str(values[0]) if values else ''
        known = near_misses(name, CORRUPTIONS) if name not in CORRUPTIONS else 'severity 1 to 5'
        raise UserError(f'corruption={corruption!r}: expected (name, severity 1 to 5); {known}')
    _library()
    return values


def corrupt(image: np.ndarray, corruption: tuple[str, int], path: str) -> np.ndarray:
    """Corrupts an image; the same file name, corruption and severity give the same result.

    Args:
        image: (H, W, 3) uint8 BGR, 32 pixels a side or more.
        corruption: Name and severity.
        path: File of the image. Its name, without folders, seeds the noise.

    Source: Hendrycks & Dietterich, ICLR 2019; for Cityscapes Michaelis et al., 2019.
    """
    name, severity = corruption
    if min(image.shape[:2]) < 32:
        raise UserError(f'image {path!r} is {image.shape[:2]}: corruptions need 32 pixels a side')
    # the compiled functions of the library take seeds of 31 bits
    seed = zlib.crc32(f'{PurePosixPath(path).name}|{name}|{severity}'.encode()) & 0x7FFFFFFF
    library = _library()
    before = np.random.get_state()  # noqa: NPY002  the library draws from numpy's global generator
    try:
        np.random.seed(seed)  # noqa: NPY002
        more = {'seed': seed} if name in _SEEDED else {}
        rgb = np.ascontiguousarray(image[..., ::-1])
        made = library.corrupt(rgb, corruption_name=name, severity=severity, **more)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return np.ascontiguousarray(made[..., ::-1])


def _library() -> ModuleType:
    try:
        import imagecorruptions
    except ImportError as error:
        raise UserError(f'corrupted images need a library ({error}): {_INSTALL}') from error
    if 'seed' not in inspect.signature(imagecorruptions.corruption_dict['glass_blur']).parameters:
        raise UserError(
            'imagecorruptions is the original, which does not run with numpy 2: pip uninstall '
            f'imagecorruptions, then {_INSTALL}'
        )
    return imagecorruptions
