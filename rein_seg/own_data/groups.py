"""Turns pairs of images and labels into the entries of a data file: folders, or a csv."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rein_seg.datasets.files.pairing import pair_folders
from rein_seg.datasets.files.split_rule import divide, group_of
from rein_seg.errors import UserError
from rein_seg.own_data.layouts import Pair

_IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_LABELS = ('.png', '.tif', '.tiff', '.bmp', '.gif')
MOST_DOMAINS = 8  # more folders are sequences


@dataclass
class Group:
    """The images of one domain and one split.

    Attributes:
        domain: Name of the domain.
        split: train, val, test or None.
        pairs: Its images with their labels.
        entry: Its part of the data file.
        csv: Content of a csv that lists the pairs, where no folder holds exactly these.
    """

    domain: str
    split: str | None
    pairs: list[Pair]
    entry: dict[str, Any] = field(default_factory=dict)
    csv: str | None = None


def make_groups(
    folder: Path, pairs: Sequence[Pair], name: str, *, lists: str = 'data_lists'
) -> list[Group]:
    """Returns the groups of pairs by domain and split.

    Args:
        folder: Of the data.
        pairs: As `find_pairs` returns them.
        name: Of the data, and of their only domain.
        lists: Folder of the csv files, below that of the data.
    """
    domains = {pair.domain for pair in pairs}
    one = len(domains) > MOST_DOMAINS or len(domains) == 1
    groups: dict[tuple[str, str | None], Group] = {}
    for pair in pairs:
        domain = name if one else pair.domain or 'other'
        key = (domain, pair.split)
        groups.setdefault(key, Group(domain, pair.split, [])).pairs.append(pair)
    for group in groups.values():
        group.entry = _folders(folder, group.pairs) or {}
        if not group.entry:
            csv_name = f'{group.domain}_{group.split or "all"}.csv'.replace(' ', '_')
            group.entry, group.csv = {'csv': f'{lists}/{csv_name}'}, _csv(group.pairs)
    return list(groups.values())


def _folders(folder: Path, pairs: Sequence[Pair]) -> dict[str, Any] | None:
    """Returns folders and ends of names that give exactly these pairs, None if none do."""
    images, labels = [pair.image for pair in pairs], [pair.label for pair in pairs]
    together = _parent(images) == _parent(labels)
    image_ends, label_ends = _ends(images, labels), _ends(labels, images)
    for image_end in dict.fromkeys(('' if not together else image_ends[0], *image_ends)):
        for label_end in dict.fromkeys(('' if not together else label_ends[0], *label_ends)):
            entry = {'images': _parent(images), 'labels': _parent(labels)}
            entry |= {'image_suffix': image_end} if image_end else {}
            entry |= {'label_suffix': label_end} if label_end else {}
            if _gives(folder, entry, pairs):
                return entry
    return None


def _gives(folder: Path, entry: dict[str, Any], pairs: Sequence[Pair]) -> bool:
    image_end, label_end = entry.get('image_suffix'), entry.get('label_suffix')
    try:
        found = pair_folders(
            str(folder / entry['images']),
            str(folder / entry['labels']),
            img_suffixes=(image_end,) if image_end else _IMAGES,
            seg_suffixes=(label_end,) if label_end else _LABELS,
            extra_labels=False,
        )
    except UserError:
        return False
    wanted = {(str(folder / pair.image), str(folder / pair.label)) for pair in pairs}
    return {(str(image), str(label)) for image, label in found} == wanted


def _parent(paths: Sequence[str]) -> str:
    parents = [str(PurePosixPath(path).parent) for path in paths]
    return os.path.commonpath(parents) or '.'


def _ends(paths: Sequence[str], others: Sequence[str]) -> list[str]:
    """Returns the end of all names beyond the part that image and label share; and the suffix."""
    ends = set()
    for path, other in zip(paths, others, strict=True):
        name, twin = PurePosixPath(path).name, PurePosixPath(other).name
        shared = len(os.path.commonprefix([name, twin]))
        ends.add(name[shared:] if shared else PurePosixPath(path).suffix)
    suffixes = {PurePosixPath(path).suffix for path in paths}
    found = [ends.pop()] if len(ends) == 1 else []
    found += [suffixes.pop()] if len(suffixes) == 1 else []
    found = [end if '.' in end else f'.{end}' for end in found]
    return list(dict.fromkeys(found)) or ['']


def _csv(pairs: Sequence[Pair]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    rows.writerow(('image', 'label'))
    rows.writerows((pair.image, pair.label) for pair in pairs)
    return text.getvalue()


def choose_rule(group: Group) -> tuple[dict[str, Any], str]:
    """Returns the rule that divides images without a split 80 to 20, and the reason for it.

    Frames of one video, or of one folder, look alike: they stay in one part.

    Raises:
        UserError: If there is one image.
    """
    entry = group.entry.get('images', '')
    names = [pair.image.removeprefix(f'{entry}/').rpartition('.')[0] for pair in group.pairs]
    if len(names) < 2:
        raise UserError(
            f'{group.domain} has {len(names)} image with a label: expected 2 or more, since the '
            'best checkpoint is chosen on images that do not train; label more'
        )
    numbers = {by: len({group_of(name, by) for name in names}) for by in ('folder', 'sequence')}
    if 4 <= numbers['folder'] < len(names):
        by, why = 'folder', f'{numbers["folder"]} folders: images of one folder stay together'
    elif 4 <= numbers['sequence'] <= len(names) / 2:
        by, why = 'sequence', f'{numbers["sequence"]} sequences: frames of one stay together'
    elif numbers['sequence'] > len(names) / 2 or len(names) < 5:
        by, why = 'image', 'the names tell no sequences: each image on its own'
    else:
        by, why = 'tail', f'{numbers["sequence"]} sequences of numbered images: the end of each'
    rule = {'val': 0.2, 'by': by, 'seed': 0}
    try:
        divide(names, rule)
    except UserError:
        rule, why = {**rule, 'by': 'image'}, 'too few images for another rule: each on its own'
    return rule, why
