"""Tables of class embeddings without names: the ``.npy`` files that ZegCLIP publishes.

K classes, D width of the space that image and text share.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rein_seg.checkpoint import tensors_sha256
from rein_seg.checkpoint.archive import open_regular
from rein_seg.checkpoint.tensors import shown
from rein_seg.errors import UserError
from rein_seg.text.rows import Rows

_OFF_UNIT = 0.01  # float16 rounds lengths to 1 by less than 0.001


def is_npy(path: str | os.PathLike) -> bool:
    """Says whether a name is of an array of numpy.

    Example:
        >>> from rein_seg.text.npy import is_npy
        >>> is_npy('voc12_single.npy'), is_npy('table.safetensors')
        (True, False)
    """
    return Path(path).suffix == '.npy'


def read_npy(path: str | os.PathLike, classes: Sequence[str]) -> Rows:
    """Reads the (K, D) rows of classes; the file tells neither names nor sentences.

    The rows stay as they are, so float16 rows have lengths that differ from 1 in the fourth digit,
    as officially.

    Args:
        path: An array of floating-point numbers, without pickled objects.
        classes: K names, in the order of the rows.

    Returns:
        Rows whose `source` is the fingerprint of the array, ``npy:sha256:...``.

    Raises:
        UserError: If it is damaged, no such array, of another number of classes, or has rows of
            another length than 1.

    Example:
        >>> import numpy as np
        >>> from rein_seg.text.npy import read_npy
        >>> np.save('two.npy', np.eye(2, 3, dtype=np.float16))
        >>> rows = read_npy('two.npy', ['road', 'sky'])
        >>> rows.rows.dtype, rows.source[:11], rows.templates
        (torch.float32, 'npy:sha256:', ())
    """
    place = f'table of class embeddings {str(path)!r}'
    with open_regular(path, 'table of class embeddings') as file:
        try:
            array = np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise UserError(
                f'{place} is damaged, or no array of numbers ({shown(error, 100)}): expected '
                'rows as numpy.save writes them, without objects; copy or download it again'
            ) from error
    if array.dtype.kind != 'f' or array.ndim != 2 or len(array) != len(classes):
        raise UserError(
            f'{place} has shape {array.shape} and type {array.dtype}: expected a row of '
            f'floating-point numbers for each of the {len(classes)} classes; take the table of '
            'these classes, in their order'
        )
    rows = torch.from_numpy(array.astype(np.float32))
    lengths = rows.norm(dim=1)
    wrong = ~((lengths - 1).abs() < _OFF_UNIT)  # NaN, too
    if wrong.any():
        index = int(wrong.nonzero()[0])
        raise UserError(
            f'{place}: the row of {classes[index]!r} has length {lengths[index]:.4g}, expected 1; '
            'divide each row by its length'
        )
    source = f'npy:sha256:{tensors_sha256({"rows": rows})}'
    return Rows(rows, tuple(classes), tuple((name,) for name in classes), (), source)
