"""Tells which convention the ids of street labels follow, by their shares of pixels.

The same number means road in one convention and wall in another, so wrong ids often load without a
complaint. But roads, buildings, trees and skies fill most of every street scene: read in a wrong
convention, its pixels would be walls, poles and riders.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rein_seg.datasets.camvid_space import CAMVID_CLASSES
from rein_seg.datasets.cityscapes_space import CITYSCAPES_CLASSES, LABEL_IDS

VOID = 255
# Typical shares of pixels, %, rounded from Cityscapes, KITTI and BDD100K; the rest is void.
_CITYSCAPES_SHARES = (
    28, 5, 18, 0.7, 1, 1.2, 0.3, 0.7, 18, 2, 10, 1, 0.2, 7, 0.6, 0.5, 0.3, 0.2, 0.5,
)  # fmt: skip
_CAMVID_SHARES = (14, 20, 1.1, 28, 5, 18, 1, 1.2, 7, 0.8, 0.7)
_VOID_SHARE, _UNKNOWN_SHARE = 8.0, 1e-4
# A convention is suspected if it makes each pixel less likely than another, by this factor on the
# geometric mean; the other must be likely itself, or the images are just no usual streets.
_FACTOR = math.log(2)
_LIKELY = math.log(0.05)
_FEWEST, _LEAST = 3, 0.005  # ids of classes, each on this share of the pixels: less proves nothing
_SHOWN = 3


@dataclass(frozen=True)
class IdKind:
    """A convention of label ids.

    Attributes:
        title: For messages.
        classes: The classes that its ids stand for.
        shares: Raw id -> typical share of pixels, %.
        names: Raw id -> class, without void.
        label_ids: Word of `CityscapesSpaceDataset` or `CamVidSpaceDataset`, '' if there is none.
        label_map: Python text of its map to ``classes``, '' if there is a word.
    """

    title: str
    classes: tuple[str, ...]
    shares: Mapping[int, float]
    names: Mapping[int, str]
    label_ids: str = ''
    label_map: str = ''


def _kind(
    title: str,
    classes: tuple[str, ...],
    ids: Mapping[int, int] | None,
    *,
    label_ids: str = '',
    label_map: str = '',
) -> IdKind:
    """Returns a convention by its map to class indexes; None is the identity."""
    if ids is None:
        ids = {**{i: i for i in range(len(classes))}, VOID: VOID}
    typical = _CAMVID_SHARES if classes == CAMVID_CLASSES else _CITYSCAPES_SHARES
    known = {**dict(enumerate(typical)), VOID: _VOID_SHARE}
    # ids of one class share its pixels alike
    alike = Counter(ids.values())
    shares = {raw: known[index] / alike[index] for raw, index in ids.items()}
    names = {raw: classes[index] for raw, index in ids.items() if index != VOID}
    return IdKind(title, classes, shares, names, label_ids, label_map)


def _kinds() -> tuple[IdKind, ...]:
    streets, camvid = CITYSCAPES_CLASSES, CAMVID_CLASSES
    titles = {
        'cityscapes': 'Cityscapes label ids',
        'train': 'Cityscapes train ids',
        'mapillary': 'ids of Mapillary Vistas v1.2',
        'mapillary_v2': 'ids of Mapillary Vistas v2.0',
        'urbansyn': 'train ids with 19 for void',
    }
    known = [
        _kind(title, streets, LABEL_IDS[word], label_ids=word) for word, title in titles.items()
    ]
    for title, classes in (('train ids', streets), ('the 11 classes of CamVid', camvid)):
        number = len(classes)
        known.append(
            _kind(
                f'{title} plus 1, with 0 for void',
                classes,
                {0: VOID, **{i + 1: i for i in range(number)}},
                label_map=f'{{0: 255, **{{i + 1: i for i in range({number})}}}}',
            )
        )
    return (
        *known,
        _kind('the 11 classes of CamVid', camvid, None, label_ids='camvid'),
        _kind(
            'the 11 classes of CamVid with 11 for void',
            camvid,
            {11: VOID, **{i: i for i in range(11)}},
            label_map='{11: 255, **{i: i for i in range(11)}}',
        ),
    )


KINDS = _kinds()


def other_kind(info: Mapping[str, Any], raw: Mapping[int, int]) -> str | None:
    """Returns a sentence if ids of street labels follow another convention than declared.

    Args:
        info: Fields of a sample of a `DomainDataset`; other classes than the 19 of Cityscapes and
            the 11 of CamVid, and ``trust_ids``, are left alone.
        raw: Raw id -> pixels, of a file or of many.

    Example:
        >>> from rein_seg.datasets.cityscapes_space import CITYSCAPES_CLASSES
        >>> from rein_seg.datasets.id_kinds import other_kind
        >>> info = dict(classes=CITYSCAPES_CLASSES, id_map=None, ignore_index=255)
        >>> other_kind(info, {7: 30, 8: 10, 11: 20, 21: 25, 23: 15})[:31]
        'they look like Cityscapes label'
        >>> other_kind(info, {0: 30, 1: 10, 2: 20, 8: 25, 10: 15})
    """
    declared, total = _declared(info), sum(raw.values())
    if declared is None or info.get('trust_ids') or not total:
        return None
    shares = {value: pixels / total for value, pixels in raw.items()}
    found = max(KINDS, key=lambda kind: _likelihood(kind, shares))
    if not _is_better(found, declared, shares):
        return None
    read = {i: declared.names.get(i, 'ignored' if i in declared.shares else 'unknown') for i in raw}
    changed = [i for i in found.names if i in raw and read[i] != found.names[i]]
    values = '; '.join(
        f'{i} on {100 * shares[i]:.0f} % of the pixels is {found.names[i]}, not {read[i]}'
        for i in sorted(changed, key=lambda i: -shares[i])[:_SHOWN]
    )
    return (
        f'they look like {found.title}, but are read as {declared.title} ({values}): '
        f'{_advice(info, found)}'
    )


def _is_better(found: IdKind, declared: IdKind, shares: Mapping[int, float]) -> bool:
    """Tells whether a convention explains ids so well that the declared one must be wrong."""
    best, gain = _likelihood(found, shares), _FACTOR
    if not shares.keys() <= declared.shares.keys() and shares.keys() <= found.shares.keys():
        gain = 0.0  # some ids are certainly wrong
    seen = sum(shares.get(i, 0) >= _LEAST for i in found.names)
    return best >= _LIKELY and best - _likelihood(declared, shares) > gain and seen >= _FEWEST


def _likelihood(kind: IdKind, shares: Mapping[int, float]) -> float:
    """Returns the mean logarithm of the typical shares of all pixels."""
    typical = ((share, kind.shares.get(i, _UNKNOWN_SHARE)) for i, share in shares.items())
    return sum(share * math.log(percent / 100) for share, percent in typical)


def _declared(info: Mapping[str, Any]) -> IdKind | None:
    """Returns the convention that a data set declares, None for classes of no streets."""
    classes, ids = tuple(info.get('classes') or ()), info.get('id_map')
    if classes not in (CITYSCAPES_CLASSES, CAMVID_CLASSES) or info.get('ignore_index') != VOID:
        return None
    word = info.get('label_ids') or ''
    known = next((kind for kind in KINDS if word and kind.label_ids == word), None)
    if known is not None:
        return known
    title = f'ids of {word!r}' if word else 'class indexes' if ids is None else 'its label_map says'
    return _kind(title, classes, ids)


def _advice(info: Mapping[str, Any], found: IdKind) -> str:
    """Returns the words to write into the data set."""
    classes, words = tuple(info['classes']), info.get('label_ids_words') or {}
    if found.label_ids in words:
        return f'set {words[found.label_ids]} in the data set'
    if found.classes != classes and found.classes == CAMVID_CLASSES:
        return (
            '11 classes do not make 19, so take the labels with ids of Cityscapes, or a benchmark '
            'of 11 classes (CamVidSpaceDataset)'
        )
    if found.label_map and found.classes == classes:
        return f'set label_map={found.label_map} in the data set'
    kind = 'CityscapesSpaceDataset' if classes == CITYSCAPES_CLASSES else 'CamVidSpaceDataset'
    if found.label_ids:
        return f'read them with {kind}(label_ids={found.label_ids!r})'
    return 'say with label_map what becomes of each id'
