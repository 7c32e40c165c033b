"""Divides a list of images in parts by a rule: the same parts on every machine and in every run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from rein_seg.errors import UserError, near_misses

KINDS = ('image', 'folder', 'sequence', 'tail')
# the number of a frame at the end of its name, with a letter such as f before it
_FRAME = re.compile(r'[ _.-]*(?:frame|f)?[ _.-]*\d+$', re.IGNORECASE)
_OVER = 1.25  # a part may be larger than its share by this factor
_ENDS = re.compile(r'_(?:leftImg8bit|rgb|image|img)$', re.IGNORECASE)


def group_of(name: str, by: str) -> str:
    """Returns the group of an image, whose images stay in one part.

    Args:
        name: Path of the image below its folder, without its suffix.
        by: ``image``, ``folder``, ``sequence`` (the name without the number of its frame) or
            ``tail`` (all images).

    Example:
        >>> from rein_seg.datasets.files.split_rule import group_of
        >>> group_of('day/0016E5_f00390', 'sequence'), group_of('day/0016E5_f00390', 'folder')
        ('day/0016E5', 'day')
    """
    path = PurePosixPath(name)
    folder = '' if str(path.parent) == '.' else str(path.parent)
    if by == 'image':
        return name
    if by == 'folder':
        return folder
    if by == 'tail':
        return ''
    stem = _FRAME.sub('', _ENDS.sub('', path.name))
    return f'{folder}/{stem}' if folder else stem


def divide(names: Sequence[str], rule: Mapping[str, Any]) -> list[str]:
    """Returns the part of each name: train, val or test.

    Groups are taken in an order that a digest of seed and group gives, until a part has its share.
    An image that comes later moves few others. ``tail`` takes the last images of each sequence.

    Args:
        names: Paths of the images below their folder, without suffix.
        rule: ``val`` and ``test``, shares; ``by``, as `group_of`; ``seed``.

    Raises:
        UserError: If a part would be empty.

    Example:
        >>> from rein_seg.datasets.files.split_rule import divide
        >>> names = [f'{video}_{i}' for video in ('a', 'b', 'c') for i in range(4)]
        >>> parts = divide(names, {'val': 0.2, 'by': 'sequence', 'seed': 0})
        >>> {name[0] for name, part in zip(names, parts) if part == 'val'}
        {'a'}
    """
    by, shares = rule.get('by', 'image'), {key: rule[key] for key in ('val', 'test') if key in rule}
    if by not in KINDS:
        raise UserError(f'split.by={by!r}; {near_misses(str(by), KINDS)}')
    if not shares or sum(shares.values()) >= 1 or min(shares.values()) <= 0:
        raise UserError(f'split={dict(rule)}: expected shares above 0 that leave images for train')
    parts = _tails(names, shares) if by == 'tail' else _groups(names, by, shares, rule)
    for part in ('train', *shares):
        if part not in parts:
            number = len({group_of(name, by) for name in names})
            raise UserError(
                f'split by {by} leaves no image for {part}: {len(names)} images are in {number} '
                f'groups; split by {"image" if by in ("image", "tail") else "tail or image"}, with '
                'larger shares, or name folders for train and val'
            )
    return parts


def _groups(
    names: Sequence[str], by: str, shares: Mapping[str, float], rule: Mapping[str, Any]
) -> list[str]:
    seed = rule.get('seed', 0)
    sizes: dict[str, int] = {}
    for name in names:
        sizes[group_of(name, by)] = sizes.get(group_of(name, by), 0) + 1
    waiting = sorted(sizes, key=lambda group: hashlib.sha256(f'{seed}:{group}'.encode()).digest())
    part_of: dict[str, str] = {}
    for part, share in shares.items():
        wanted, taken = share * len(names), 0
        for group in list(waiting):
            if taken < wanted and taken + sizes[group] <= _OVER * wanted:
                part_of[group], taken = part, taken + sizes[group]
                waiting.remove(group)
        if not taken and len(waiting) > 1:  # all groups are larger
            group = min(waiting, key=lambda one: sizes[one])
            part_of[group] = part
            waiting.remove(group)
    return [part_of.get(group_of(name, by), 'train') for name in names]


def _tails(names: Sequence[str], shares: Mapping[str, float]) -> list[str]:
    parts = ['train'] * len(names)
    sequences: dict[str, list[int]] = {}
    for index in sorted(range(len(names)), key=lambda i: _natural(names[i])):
        sequences.setdefault(group_of(names[index], 'sequence'), []).append(index)
    for indexes in sequences.values():
        end = len(indexes)
        for part, share in reversed(shares.items()):
            begin = end - round(share * len(indexes))
            for index in indexes[begin:end]:
                parts[index] = part
            end = begin
    return parts


def _natural(name: str) -> list[tuple[int, str]]:
    """Returns a key that sorts numbers in names by value."""
    return [(int(part), '') if part.isdigit() else (0, part) for part in re.split(r'(\d+)', name)]
