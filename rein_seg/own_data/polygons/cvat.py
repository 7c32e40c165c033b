"""CVAT for images: one XML file."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from rein_seg.errors import UserError
from rein_seg.own_data.names import read_place
from rein_seg.own_data.polygons.shapes import (
    Drawing,
    Shape,
    box,
    ellipse,
    from_runs,
    ring_of,
    turned,
)

_UNSAFE = re.compile(rb'<!(?:DOCTYPE|ENTITY)', re.IGNORECASE)


def read_cvat(
    data: bytes, file: str, left_out: Counter[str]
) -> tuple[list[Drawing], list[str]] | None:
    """Returns the areas of each image and the names of the classes; None for another XML.

    Args:
        data: Content of the file.
        file: Its path, for messages.
        left_out: Counts of shapes that are no area, by reason; added to.

    Raises:
        UserError: If a shape is wrong.
    """
    if _UNSAFE.search(data):  # entities may grow without end; CVAT writes none
        return None
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  without entities
    except ElementTree.ParseError:
        return None
    if root.tag != 'annotations' or root.find('image') is None:
        return None
    try:
        drawings = [_drawing(image, file, left_out) for image in root.iter('image')]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{file} looks like CVAT, but a shape is wrong ({type(error).__name__}: {error}): '
            'expected "CVAT for images 1.1"; export it again'
        ) from error
    names = [one.findtext('name') or '' for one in root.iter('label')]
    return drawings, [name for name in dict.fromkeys(names) if name]


def _drawing(image: ElementTree.Element, file: str, left_out: Counter[str]) -> Drawing:
    # z_order says which covers which; equal numbers keep the order of the file
    parts = sorted(image, key=lambda one: int(one.get('z_order', 0)))
    shapes = []
    for one in parts:
        shape = _shape(one, file)
        if shape is not None:
            shapes.append(shape)
        elif 'label' in one.attrib:
            left_out[f'shapes of type {one.tag}'] += 1
    size = (int(image.attrib['height']), int(image.attrib['width']))
    split = read_place(f'{image.get("subset") or ""}/x').split
    return Drawing(image.attrib['name'], size, shapes, split, file)


def _shape(one: ElementTree.Element, file: str) -> Shape | None:
    said = one.attrib
    degrees = float(said.get('rotation', 0))
    if one.tag == 'polygon':
        points = [[float(v) for v in pair.split(',')] for pair in said['points'].split(';')]
        return Shape(said['label'], rings=[ring_of(points, file)])
    if one.tag == 'box':
        corners = [float(said[key]) for key in ('xtl', 'ytl', 'xbr', 'ybr')]
        return Shape(said['label'], rings=[ring_of(turned(box(*corners), degrees), file)])
    if one.tag == 'ellipse':
        sides = [float(said[key]) for key in ('cx', 'cy', 'rx', 'ry')]
        return Shape(said['label'], rings=[ring_of(turned(ellipse(*sides), degrees), file)])
    if one.tag == 'mask':
        runs = [int(v) for v in said['rle'].split(',')]
        size = (int(said['height']), int(said['width']))
        mask = from_runs(runs, size, file, by_column=False)
        return Shape(said['label'], mask=mask, corner=(int(said['left']), int(said['top'])))
    return None
