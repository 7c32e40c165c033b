"""Tells labels from photographs by their pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

_FEW = 64  # values of a label
_MOST_SIDE = 512


def looks_like_label(path: str) -> bool:
    """Says whether a picture has a palette, one bit, or few values, as labels have.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.own_data.looks import looks_like_label
        >>> Image.fromarray(np.uint8([[0, 1], [1, 2]])).save('a.png')
        >>> looks_like_label('a.png')
        True
    """
    try:
        with Image.open(path) as image:
            if image.mode in ('P', '1'):
                return True
            if image.format in ('JPEG', 'MPO'):
                return False
            array = np.asarray(image)[:_MOST_SIDE, :_MOST_SIDE]
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
    flat = array.reshape(-1, array.shape[2]) if array.ndim == 3 else array.reshape(-1, 1)
    codes = flat[:, :3].astype(np.int64) @ (256 ** np.arange(min(flat.shape[1], 3)))
    return len(np.unique(codes)) <= _FEW
