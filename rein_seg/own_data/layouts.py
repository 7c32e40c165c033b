"""Finds the images of a folder, and the label of each, by names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rein_seg.datasets.files.walk import walk
from rein_seg.errors import UserError
from rein_seg.own_data.looks import looks_like_label
from rein_seg.own_data.names import IMAGES, LABEL_ENDS, LABELS, NO_LABELS, Place, read_place

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.gif')
WRITTEN = ('masks_from_polygons', 'masks_from_colours', 'data_lists', 'work_dirs')
ANY = 'any'  # split


@dataclass(frozen=True)
class Pair:
    """An image with its label, as paths below the folder.

    Attributes:
        image: Path.
        label: Path.
        domain: Name; '' for the only domain.
        split: train, val, test or None.
    """

    image: str
    label: str
    domain: str = ''
    split: str | None = None


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        pairs: Images with labels.
        lists: train, val, test -> file that lists names of images.
        skipped: Path -> why it is left out.
    """

    pairs: list[Pair] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def pictures(folder: Path, suffixes: tuple[str, ...] = PICTURES) -> dict[str, str]:
    """Returns the pictures of a folder, but for written files: path below it -> path."""
    files = walk(str(folder), Counter())
    return {
        name: path
        for name, path in sorted(files.items())
        if PurePosixPath(name).suffix.lower() in suffixes
        and PurePosixPath(name).parts[0] not in WRITTEN
    }


def find_pairs(folder: Path, suffixes: tuple[str, ...] = PICTURES) -> Found:
    """Returns the images of a folder with their labels.

    Args:
        folder: The folder.
        suffixes: Ends of the names of images and labels.

    Raises:
        UserError: If there are no pictures, or none is a label.
    """
    files = pictures(folder, suffixes)
    if not files:
        raise UserError(
            f'{str(folder)!r} holds no picture ({", ".join(PICTURES)}): expected images and their '
            'masks, or images and polygons of COCO, LabelMe or CVAT; give their folder'
        )
    places = {name: read_place(name) for name in files}
    sides = _sides(folder, files, places)
    if not sides[LABELS]:
        raise UserError(
            f'{str(folder)!r} holds {len(files)} pictures, and none looks like a label: expected '
            'masks in a folder such as labels or masks, or names such as a_mask.png beside a.jpg; '
            'rename the folder of the masks to labels'
        )
    return _matched(sides)


def _sides(
    folder: Path, files: Mapping[str, str], places: Mapping[str, Place]
) -> dict[str, dict[str, Place]]:
    """Returns images and labels: path -> its words."""
    labels = {
        name: place
        for name, place in places.items()
        if place.role == LABELS and not place.stem.lower().endswith(NO_LABELS)
        and not PurePosixPath(name).stem.lower().endswith(NO_LABELS)
    }  # fmt: skip
    images = {name: place for name, place in places.items() if place.role != LABELS}
    if any(place.role == IMAGES for place in images.values()) and labels:
        keys = {label.key for label in labels.values()}
        images = {n: p for n, p in images.items() if p.role == IMAGES or p.key in keys}
    if not labels:
        labels = _by_look(folder, files, images)
        images = {name: place for name, place in images.items() if name not in labels}
    return {IMAGES: images, LABELS: labels}


def _by_look(
    folder: Path, files: Mapping[str, str], images: Mapping[str, Place]
) -> dict[str, Place]:
    """Returns the labels among pictures whose names do not tell them: folders or suffixes."""
    by_stem: dict[tuple, list[str]] = {}
    for name in images:
        by_stem.setdefault((PurePosixPath(name).stem,), []).append(name)
    twins = [names for names in by_stem.values() if len(names) == 2]
    sides: Counter[tuple[str, str]] = Counter()
    for names in twins[:8]:
        flat = [name for name in names if looks_like_label(files[name])]
        if len(flat) == 1:
            sides[str(PurePosixPath(flat[0]).parent), PurePosixPath(flat[0]).suffix.lower()] += 1
    chosen = set(sides)
    found = {}
    for names in twins:
        for name in names:
            pure = PurePosixPath(name)
            if (str(pure.parent), pure.suffix.lower()) in chosen:
                other = next(one for one in names if one != name)
                found[name] = read_place(other)  # the label has the key of its image
    return found


def _matched(sides: Mapping[str, Mapping[str, Place]]) -> Found:
    found = Found()
    by_key: dict[tuple, list[str]] = {}
    for name, place in sides[LABELS].items():
        by_key.setdefault(place.key, []).append(name)
    loose = _loose(sides)
    used: set[str] = set()
    for name, place in sides[IMAGES].items():
        keys = ((place.split, place.stem), (ANY, place.stem))
        fitting = by_key.get(place.key) or next((loose[key] for key in keys if key in loose), [])
        fitting = _preferred(fitting, sides[LABELS])
        if len(fitting) != 1:
            several = f'several labels: {", ".join(fitting[:3])}' if fitting else 'no label'
            found.skipped[name] = f'image with {several}'
            continue
        used.add(fitting[0])
        words = place if place.domain or place.split else sides[LABELS][fitting[0]]
        found.pairs.append(Pair(name, fitting[0], words.domain.replace('/', '_'), words.split))
    for name in sides[LABELS]:
        if name not in used:
            found.skipped[name] = 'label without an image'
    if not found.pairs:
        image, label = next(iter(sides[IMAGES]), '-'), next(iter(sides[LABELS]))
        raise UserError(
            f'no image has a label of its name: expected the same names, such as images/a.jpg and '
            f'labels/a.png; there are {image!r} and {label!r}; rename them, or their folders'
        )
    return found


def _preferred(names: list[str], labels: Mapping[str, Place]) -> list[str]:
    """Returns the label whose end comes first in the list of known ends, of labels that differ."""
    order = {end: i for i, end in enumerate(LABEL_ENDS)}
    ranks = [order.get(labels[name].end.rpartition('.')[0], len(order)) for name in names]
    return [names[ranks.index(min(ranks))]] if len(set(ranks)) == len(ranks) > 1 else names


def _loose(sides: Mapping[str, Mapping[str, Place]]) -> dict[tuple, list[str]]:
    """Returns labels by split and name, or by name alone, that one image alone has."""
    labels: dict[tuple, list[str]] = {}
    images: Counter[tuple] = Counter()
    for name, place in sides[LABELS].items():
        for split in (place.split, ANY):
            labels.setdefault((split, place.stem), []).append(name)
    for place in sides[IMAGES].values():
        images.update([(place.split, place.stem), (ANY, place.stem)])
    return {key: names for key, names in labels.items() if images[key] == 1}
