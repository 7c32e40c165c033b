"""COCO's JSON: all images of a split in one file, with polygons and run lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rein_seg.errors import UserError
from rein_seg.own_data.names import read_place
from rein_seg.own_data.polygons.shapes import Drawing, Shape, decode_runs, from_runs, ring_of


def is_coco(content: Any) -> bool:
    """Says whether the content of a JSON file is of COCO."""
    return (
        isinstance(content, dict)
        and isinstance(content.get('images'), list)
        and isinstance(content.get('annotations'), list)
        and isinstance(content.get('categories'), list)
    )


def read_coco(
    content: Mapping[str, Any], file: str, left_out: Counter[str]
) -> tuple[list[Drawing], list[str]]:
    """Returns the areas of each image, and the names of the classes in the order of their ids.

    Args:
        content: Of the file.
        file: Its path, for messages and for the split.
        left_out: Counts of annotations that are no area, by reason; added to.

    Raises:
        UserError: If a part is missing or wrong.
    """
    try:
        names = {one['id']: str(one['name']) for one in content['categories']}
        images = {
            one['id']: Drawing(
                str(one['file_name']), _size(one), [], read_place(f'{file}/x').split, file
            )
            for one in content['images']
        }
        for one in content['annotations']:
            drawing = images[one['image_id']]
            shape = _shape(names[one['category_id']], one.get('segmentation'), drawing, file)
            if shape is None:
                left_out['annotations with a box alone'] += 1
            else:
                drawing.shapes.append(shape)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{file} looks like COCO, but a part is missing or wrong ({type(error).__name__}: '
            f'{error}): expected images with id and file_name, annotations with image_id, '
            'category_id and segmentation; export it again'
        ) from error
    return list(images.values()), [names[key] for key in sorted(names, key=str_last)]


def str_last(key: Any) -> tuple[bool, int, str]:
    """Sorts numbers by value, before texts."""
    number = isinstance(key, int)
    return not number, key if number else 0, str(key)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = image.get('height'), image.get('width')
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _shape(name: str, said: Any, drawing: Drawing, file: str) -> Shape | None:
    if isinstance(said, list) and said:
        rings = [said] if isinstance(said[0], (int, float)) else said
        return Shape(name, rings=[ring_of(ring, file) for ring in rings])
    if isinstance(said, Mapping):
        height, width = said['size']
        runs = said['counts']
        if isinstance(runs, str):
            runs = decode_runs(runs)
        return Shape(name, mask=from_runs(runs, (height, width), file, by_column=True))
    return None
