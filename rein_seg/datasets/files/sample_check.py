"""Checks a sample: decodes both files to the end, compares sizes, maps ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rein_seg.datasets.files.band_files import decode_bands
from rein_seg.datasets.files.faults import (
    BAD_IMAGE,
    BAD_LABEL,
    CHANNELS,
    FORM,
    IDS,
    IGNORED,
    INDEXES,
    MASKS,
    OTHER_IDS,
    SIZE,
    Fault,
)
from rein_seg.datasets.files.label_files import read_label
from rein_seg.datasets.files.listing import read_bytes
from rein_seg.datasets.files.pictures import decode_image, open_picture
from rein_seg.datasets.files.sizes import image_size
from rein_seg.datasets.id_kinds import other_kind
from rein_seg.datasets.transforms.labels import HINT, map_ids, other_size, size_message
from rein_seg.errors import UserError

_MOST = 40  # ids in a message
_SMALL = 2**16  # below this a count by index is faster than sorting, and its table is small


@dataclass
class SampleCheck:
    """Findings about a sample.

    Attributes:
        faults: Its faults.
        size: (height, width) of the image, None if it cannot be read.
        raw: Raw id -> pixels.
        classes: Class index or ignore_index -> pixels.
        digest: Digest of the image file, if requested.
    """

    faults: list[Fault] = field(default_factory=list)
    size: tuple[int, int] | None = None
    raw: dict[int, int] = field(default_factory=dict)
    classes: dict[int, int] = field(default_factory=dict)
    digest: str = ''


def indexes_for_ids(info: Mapping[str, Any], samples: Iterable[SampleCheck]) -> str | None:
    """Returns an error text if labels hold class indexes instead of raw ids, else None.

    The indexes of 19 classes are valid raw ids, too, but most of them are void ids. So a data set
    whose labelled pixels would mostly be ignored is suspected.

    Args:
        info: Fields of any sample of the data set.
        samples: Findings about its samples.
    """
    raw: Counter = Counter()
    classes: Counter = Counter()
    for sample in samples:
        raw.update(sample.raw)
        classes.update(sample.classes)
    indexes = {*range(info['num_classes']), info['ignore_index']}
    mapped = any(info['id_map'].get(i) != i for i in raw) if info['id_map'] else False
    void = raw[info['ignore_index']]
    lost, labelled = classes[info['ignore_index']] - void, sum(classes.values()) - void
    if not mapped or not set(raw) <= indexes or 2 * lost <= labelled:
        return None
    return (
        f'labels such as {info["seg_map_path"]!r} hold the ids {sorted(raw)}, and {lost} of '
        f'{labelled} pixels would be ignored: they look like class indexes, where raw '
        "ids are expected; if they are, give the data set label_ids='train' (label_map=None)"
    )


def ids_of_another_kind(info: Mapping[str, Any], samples: Iterable[SampleCheck]) -> str | None:
    """Returns an error text if labels of streets follow another convention of ids, else None.

    Args:
        info: Fields of any sample of the data set.
        samples: Findings about its samples.
    """
    raw: Counter = Counter()
    for sample in samples:
        raw.update(sample.raw)
    found = other_kind(info, raw)
    if found is None:
        return None
    return (
        f'labels such as {info["seg_map_path"]!r} hold the ids {_listed(raw)}: {found}; if they '
        'are right as they are, give the data set trust_ids=True'
    )


def _listed(raw: Mapping[int, int]) -> str:
    ids = sorted(raw)
    return f'{ids}' if len(ids) <= _MOST else f'[{", ".join(map(str, ids[:_MOST]))}, ...]'


def masks_for_ids(info: Mapping[str, Any], samples: Iterable[SampleCheck]) -> str | None:
    """Returns an error text if labels without a map hold 0 and the ignored index alone, else None.

    Such labels train class 0 against nothing: every score would be 100.

    Args:
        info: Fields of any sample of the data set.
        samples: Findings about its samples.
    """
    raw: Counter = Counter()
    for sample in samples:
        raw.update(sample.raw)
    ignored = info['ignore_index']
    if info['id_map'] is not None or set(raw) != {0, ignored}:
        return None
    return (
        f'labels such as {info["seg_map_path"]!r} hold the values 0 and {ignored} alone, and '
        f'{ignored} is ignored, so no other class than the first would be learnt: expected class '
        f'indexes; for masks of one thing take BinaryFolderDataset, or label_map={{0: 0, '
        f'{ignored}: 1}}; if {ignored} is to be ignored, say so with label_map={{0: 0, {ignored}: '
        f'{ignored}}}'
    )


def all_ignored(info: Mapping[str, Any], samples: Iterable[SampleCheck]) -> str | None:
    """Returns an error text if no label has a pixel of a class, else None.

    Args:
        info: Fields of any sample of the data set.
        samples: Findings about its samples.
    """
    read = [sample for sample in samples if sample.classes]
    if not read or any(set(sample.classes) - {info['ignore_index']} for sample in read):
        return None
    return (
        f'all pixels of its {len(read)} labels, such as {info["seg_map_path"]!r}, are ignored '
        f'({info["ignore_index"]}): expected pixels of classes; look at label_map'
    )


def faults_of_all(
    info: Mapping[str, Any], samples: Sequence[SampleCheck]
) -> Iterator[tuple[str, str]]:
    """Yields kind and error text of the faults that only all labels together show.

    Args:
        info: Fields of any sample of the data set.
        samples: Findings about its samples.
    """
    for kind, find in (
        (OTHER_IDS, ids_of_another_kind), (INDEXES, indexes_for_ids), (MASKS, masks_for_ids),
        (IGNORED, all_ignored),
    ):  # fmt: skip
        message = find(info, samples)
        if message is not None:
            yield kind, message
            if kind == OTHER_IDS:  # which explains the others
                return


def check_sample(info: Mapping[str, Any], *, digest: bool = False) -> SampleCheck:
    """Reads image and label of a sample as a run does, and lists all their faults.

    Args:
        info: Fields of the sample in a `DomainDataset`.
        digest: Whether to compute the digest of the image file.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets.files.sample_check import check_sample
        >>> _ = cv2.imwrite('image.png', np.zeros((4, 6, 3), np.uint8))
        >>> _ = cv2.imwrite('label.png', np.full((4, 6), 9, np.uint8))
        >>> found = check_sample(dict(img_path='image.png', seg_map_path='label.png', id_map={0: 0},
        ...                           num_classes=2, ignore_index=255))
        >>> found.size, found.raw, [fault.kind for fault in found.faults]
        ((4, 6), {9: 24}, ['ids that map nowhere'])
    """
    found = SampleCheck()
    _check_image(info, found, digest)
    if 'seg_map_path' in info:
        _check_label(info, found)
    return found


def _check_image(info: Mapping[str, Any], found: SampleCheck, digest: bool) -> None:
    path = info['img_path']
    try:
        data = read_bytes(path)
        if digest:
            found.digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        if info.get('bands') is not None:
            found.size = decode_bands(data, path, info['bands']).shape[:2]
            return
        _decode(data, path)
        white, orientation = info.get('max_value'), info.get('orientation')
        image = decode_image(data, path, max_value=white, orientation=orientation)
        found.size = image.shape[:2]
        image_size(info)  # refuses a turned image whose label may not be turned
    except (OSError, UserError) as error:
        message = f'image {path!r} cannot be read: {error}; copy or download it again'
        known = isinstance(error, UserError)
        found.faults.append(Fault(BAD_IMAGE, path, str(error) if known else message))


def _decode(data: bytes, path: str) -> None:
    """Decodes a picture to its last row, where OpenCV may stop before; compares checksums."""
    with open_picture(data, path) as image:
        image.load()
    _verify(data, path, 'image')


def _verify(data: bytes, path: str, what: str) -> None:
    """Compares the checksums of a PNG."""
    with open_picture(data, path, what=what) as image:
        if image.format == 'PNG':
            image.verify()


def _check_label(info: Mapping[str, Any], found: SampleCheck) -> None:
    path, decode = info['seg_map_path'], info.get('decode')
    try:
        raw = read_label(path, decode, orientation=info.get('orientation'))
        _verify(read_bytes(path), path, 'label')
    except (OSError, UserError) as error:
        known = isinstance(error, UserError)
        message = f'label {path!r} cannot be read: {error}; mend the file'
        kind = _label_kind(path, decode)
        found.faults.append(Fault(kind, path, str(error) if known else message))
        return
    if found.size is not None:
        size = other_size({**info, 'ori_shape': found.size}, raw.shape)
        if size is not None:
            policy = info.get('wrong_size', 'error')
            allowed = '' if policy == 'error' else f'wrong_size={policy!r}'
            message = size_message(info, raw.shape, size)
            found.faults.append(Fault(SIZE, path, message, allowed))
    found.raw = _histogram(raw)
    _check_ids(info, found)


def _label_kind(path: str, decode: Any) -> str:
    """Returns the kind of fault of a label that could not be read."""
    try:
        data = read_bytes(path)
        _decode(data, path)
        with open_picture(data, path) as image:
            several = len(image.getbands()) > 1
    except (OSError, UserError):
        return BAD_LABEL
    return CHANNELS if several and decode is None else FORM


def _histogram(raw: np.ndarray) -> dict[int, int]:
    """Returns id -> pixels of (H, W) ids."""
    if raw.size and int(raw.max()) < _SMALL:  # all label pictures of 8 and 16 bits
        counts = np.bincount(raw.ravel())
        ids = np.flatnonzero(counts)
        counts = counts[ids]
    else:
        ids, counts = np.unique(raw, return_counts=True)
    return {int(i): int(n) for i, n in zip(ids, counts, strict=True)}


def _check_ids(info: Mapping[str, Any], found: SampleCheck) -> None:
    def classes_of(ids: list[int]) -> list[int]:
        return map_ids(
            np.array([ids], np.int64),
            info['id_map'],
            num_classes=info['num_classes'],
            ignore_index=info['ignore_index'],
            path=info['seg_map_path'],
            hint=getattr(info.get('decode'), 'hint', HINT),
        )[0].tolist()

    known = {}
    try:
        known = dict(zip(found.raw, classes_of(list(found.raw)), strict=True))
    except UserError as error:
        kind = other_kind(info, found.raw)
        message = str(error) if kind is None else f'{str(error).rpartition("; ")[0]}; {kind}'
        found.faults.append(Fault(IDS, info['seg_map_path'], message))
        # one by one: known ids still count, though another id is unknown
        for raw in found.raw:
            try:
                known[raw] = classes_of([raw])[0]
            except UserError:
                continue
    for raw, index in known.items():
        found.classes[index] = found.classes.get(index, 0) + found.raw[raw]
