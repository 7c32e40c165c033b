"""Draws the masks of an export of polygons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from rein_seg.datasets.files.pictures import read_header
from rein_seg.errors import UserError, near_misses
from rein_seg.own_data.class_names import Names
from rein_seg.own_data.layouts import Found, Pair, pictures
from rein_seg.own_data.names import read_place
from rein_seg.own_data.polygons.find import Export
from rein_seg.own_data.polygons.shapes import Drawing, draw
from rein_seg.pages.maps import save_map
from rein_seg.palettes import distinct_colours
from rein_seg.progress import progress

MASKS = 'masks_from_polygons'
BACKGROUND, IGNORE = 'background', 'ignore'
IGNORED = 255
_NOT_LABELLED = ('__ignore__', 'ignore', 'void')  # names that tools give


@dataclass
class Drawn:
    """Masks drawn of polygons.

    Attributes:
        found: Images with masks.
        names: Id in the masks -> name.
    """

    found: Found
    names: dict[int, str]


def draw_export(
    folder: Path,
    export: Export,
    *,
    named: Names | None,
    unlabelled: str = BACKGROUND,
    place: str = MASKS,
) -> Drawn:
    """Writes the masks of an export below a folder of the data.

    Args:
        folder: Of the data.
        export: Its polygons.
        named: Names of the classes in their order; None takes the export's.
        unlabelled: ``background``: pixels outside are a class; ``ignore``: they are ignored.
        place: Folder of the masks, below that of the data.

    Raises:
        UserError: If no image of the export is there, or a name is unknown.
    """
    ids, outside = _ids(export, named, unlabelled)
    files = pictures(folder)
    by_name: dict[str, list[str]] = {}
    for name in files:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    found, palette = Found(), _palette(max(ids.values()) + 1)
    for drawing in progress(export.drawings, what='drawing masks', unit='images'):
        image = _image(drawing, files, by_name)
        reason = _problem(drawing, files, image, outside)
        if image is None or reason:
            found.skipped[image or drawing.image] = reason
            continue
        size = read_header(files[image]).size()
        mask = f'{place}/{PurePosixPath(image).with_suffix("")}.png'
        save_map(folder / mask, draw(drawing, size, ids, outside), palette)
        words = read_place(image)
        split = drawing.split or words.split
        found.pairs.append(Pair(image, mask, words.domain.replace('/', '_'), split))
    drawn = {pair.image for pair in found.pairs}
    for name in files:
        if name not in found.skipped and name not in drawn:
            found.skipped[name] = 'image without polygons'
    if not found.pairs:
        first = next(iter(found.skipped.items()), ('-', 'no image'))
        raise UserError(
            f'no image of the {export.kind} export can be used; first: {first[0]!r}: {first[1]}; '
            'put the images beside the export, under the names that it has'
        )
    for reason, number in export.left_out.items():
        found.skipped[f'{number} {reason}'] = 'no area'
    names = {value: name for name, value in ids.items() if value != IGNORED}
    return Drawn(found, dict(sorted(names.items())))


def _ids(export: Export, named: Names | None, unlabelled: str) -> tuple[dict[str, int], int]:
    """Returns name -> value in the masks, and the value outside."""
    used = {shape.label for drawing in export.drawings for shape in drawing.shapes}
    order = [name for name in export.names if name in used] or sorted(used)
    void = {name: IGNORED for name in used if name.lower() in _NOT_LABELLED}
    order = [name for name in order if name not in void]
    if named is not None:
        order = list(named.values()) if isinstance(named, dict) else list(named)
        for name in sorted(used - set(order) - set(void)):
            raise UserError(
                f'the export has polygons of {name!r}, which --classes does not name; '
                f'{near_misses(name, order)}; add it, or rename it'
            )
    grounds = [name for name in order if name.strip('_').lower() == BACKGROUND]
    if unlabelled == BACKGROUND:
        if not grounds:
            order = [BACKGROUND, *order]
            grounds = [BACKGROUND]
        order = [grounds[0], *(name for name in order if name != grounds[0])]
    if len(order) > IGNORED:
        raise UserError(f'the export has {len(order)} classes: expected 255 at most; merge some')
    ids = {name: i for i, name in enumerate(order)} | void
    return ids, ids[grounds[0]] if unlabelled == BACKGROUND else IGNORED


def _image(
    drawing: Drawing, files: Mapping[str, str], by_name: Mapping[str, list[str]]
) -> str | None:
    """Returns the image of a drawing: by its path beside the export, else by its name alone."""
    beside = str(PurePosixPath(drawing.file).parent / drawing.image)
    for name in (drawing.image, beside):
        if name in files:
            return name
    ends = [name for name in files if name.endswith(f'/{drawing.image}')]
    fitting = ends or by_name.get(PurePosixPath(drawing.image).name, [])
    if len(fitting) > 1 and drawing.split:
        fitting = [name for name in fitting if read_place(name).split == drawing.split]
    return fitting[0] if len(fitting) == 1 else None


def _problem(drawing: Drawing, files: Mapping[str, str], image: str | None, outside: int) -> str:
    if image is None:
        return f'image that {drawing.file} names is not there'
    if not drawing.shapes and outside == IGNORED:
        return 'image without polygons'
    try:
        size = read_header(files[image]).size()
    except (UserError, OSError) as error:
        return ' '.join(str(error).split())
    if drawing.size not in (None, size):
        return (
            f'image of {size} (height, width), where {drawing.file} has polygons for {drawing.size}'
        )
    return ''


def _palette(classes: int) -> np.ndarray:
    """Returns colours of all 256 indexes, so that any viewer shows the classes; the first black."""
    palette = np.zeros((256, 3), np.uint8)
    palette[1:classes] = np.array(distinct_colours(max(classes - 1, 0)), np.uint8).reshape(-1, 3)
    return palette
