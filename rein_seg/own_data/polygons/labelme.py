"""LabelMe's JSON: a file beside each image."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from rein_seg.errors import UserError
from rein_seg.own_data.names import read_place
from rein_seg.own_data.polygons.shapes import Drawing, Shape, box, ellipse, ring_of


def is_labelme(content: Any) -> bool:
    """Says whether the content of a JSON file is of LabelMe."""
    return (
        isinstance(content, dict)
        and isinstance(content.get('shapes'), list)
        and isinstance(content.get('imagePath'), str)
    )


def read_labelme(content: Mapping[str, Any], file: str, left_out: Counter[str]) -> Drawing:
    """Returns the areas of an image.

    Args:
        content: Of the file.
        file: Its path below the folder of the data.
        left_out: Counts of shapes that are no area, by reason; added to.

    Raises:
        UserError: If a shape is wrong.
    """
    shapes = []
    try:
        for one in content['shapes']:
            shape = _shape(one, file)
            if shape is None:
                left_out[f'shapes of type {one.get("shape_type")}'] += 1
            else:
                shapes.append(shape)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f'{file} looks like LabelMe, but a shape is wrong ({type(error).__name__}: {error}): '
            'expected label and points; save it again'
        ) from error
    height, width = content.get('imageHeight'), content.get('imageWidth')
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    name = content['imagePath'].replace('\\', '/')
    pure = PurePosixPath(file)
    # the name inside may be of another machine: the file's own name is as good
    image = str(pure.with_suffix(PurePosixPath(name).suffix))
    return Drawing(image, size, shapes, read_place(file).split, file)


def _shape(said: Mapping[str, Any], file: str) -> Shape | None:
    label, points = str(said['label']), said['points']
    kind = said.get('shape_type') or 'polygon'
    if kind == 'polygon':
        return Shape(label, rings=[ring_of(points, file)])
    if kind == 'rectangle':
        (x1, y1), (x2, y2) = points[0], points[-1 if len(points) == 2 else 2]
        return Shape(label, rings=[ring_of(box(x1, y1, x2, y2), file)])
    if kind == 'circle':
        (cx, cy), (x, y) = points
        radius = math.hypot(x - cx, y - cy)
        return Shape(label, rings=[ring_of(ellipse(cx, cy, radius, radius), file)])
    if kind == 'mask':
        left, top = (round(v) for v in points[0])
        return Shape(label, mask=_mask(said['mask'], file), corner=(left, top))
    return None


def _mask(text: str, file: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=['PNG']) as mask:
            return np.array(mask.convert('L')) > 0
    except (binascii.Error, OSError, ValueError) as error:
        raise UserError(f'{file}: a mask is no PNG in base64: {error}; save it again') from error
