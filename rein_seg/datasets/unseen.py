"""Which classes training never labels, by name or index.

K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.errors import UserError, near_misses


def class_indexes(
    named: Sequence[str | int], classes: Sequence[str], where: str
) -> tuple[int, ...]:
    """Returns the sorted indexes of the unseen classes.

    Args:
        named: Names or indexes of the unseen classes.
        classes: K names, in the order of the indexes.
        where: Key of ``named``, for messages.

    Raises:
        UserError: If there is none, a name or an index is no class, a class is there twice, or all
            classes are unseen.

    Example:
        >>> from rein_seg.datasets.unseen import class_indexes
        >>> class_indexes(['sea', 0], ['road', 'sky', 'sea'], 'benchmark.unseen')
        (0, 2)
    """
    if isinstance(named, str) or not named:
        raise UserError(
            f'{where}={named!r}: expected a list of one or more of the {len(classes)} classes; '
            'leave it out where training labels all of them'
        )
    found = [_index(one, classes, where) for one in named]
    twice = next((i for i in found if found.count(i) > 1), None)
    if twice is not None:
        raise UserError(
            f'{where} names the class {classes[twice]!r} twice: expected each class once; take '
            'one of them out'
        )
    if len(found) == len(classes):
        raise UserError(
            f'{where} names all {len(classes)} classes: expected a seen class at least, since '
            'training has no other labels; shorten the list'
        )
    return tuple(sorted(found))


def _index(named: str | int, classes: Sequence[str], where: str) -> int:
    if isinstance(named, str):
        if named not in classes:
            raise UserError(
                f'{where} names {named!r}, which is no class; {near_misses(named, classes)}'
            )
        return list(classes).index(named)
    if type(named) is not int or not 0 <= named < len(classes):
        raise UserError(
            f'{where} names {named!r}, which is no class: expected a name, or an index of 0 to '
            f'{len(classes) - 1}; correct the list'
        )
    return named


def seen_classes(unseen: Sequence[int], num_classes: int) -> tuple[int, ...]:
    """Returns the indexes of all other classes, in order.

    Example:
        >>> from rein_seg.datasets.unseen import seen_classes
        >>> seen_classes([1], 3)
        (0, 2)
    """
    return tuple(i for i in range(num_classes) if i not in set(unseen))


def channel_classes(classes: Sequence[str], benchmark: Mapping[str, Any] | None) -> tuple[int, ...]:
    """Returns the index of the class that each channel of a model stands for.

    Args:
        classes: K names of the data set.
        benchmark: Of the config; with ``compact`` there are channels of the seen classes alone.

    Example:
        >>> from rein_seg.datasets.unseen import channel_classes
        >>> channel_classes(['road', 'sea', 'sky'], dict(unseen=['sea'], compact=True))
        (0, 2)
    """
    about = benchmark or {}
    unseen = about.get('unseen') if about.get('compact') else None
    return tuple(i for i, name in enumerate(classes) if name not in (unseen or ()))


def channel_metainfo(
    meta: Mapping[str, Any], benchmark: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns the metainfo of a data set with classes and palette of a model's channels.

    Args:
        meta: ``classes`` and, optionally, ``palette`` of all K classes.
        benchmark: As for `channel_classes`.

    Example:
        >>> from rein_seg.datasets.unseen import channel_metainfo
        >>> meta = dict(classes=('road', 'sea'), palette=[[9, 9, 9], [0, 0, 99]])
        >>> channel_metainfo(meta, dict(unseen=['road'], compact=True))
        {'classes': ('sea',), 'palette': ([0, 0, 99],)}
    """
    kept = channel_classes(meta['classes'], benchmark)
    if len(kept) == len(meta['classes']):
        return dict(meta)
    lists = {key: meta[key] for key in ('classes', 'palette') if meta.get(key)}
    return {**meta, **{key: tuple(values[i] for i in kept) for key, values in lists.items()}}
