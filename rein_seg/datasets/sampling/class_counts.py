"""Counts the pixels of each class in each label of a data set once, and keeps the counts.

N labels, K classes.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import dist
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.logging import print_log

from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.files.listing import file_on_disk
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.sampling.stream import SeededDataset
from rein_seg.datasets.transforms.labels import load_classes
from rein_seg.datasets.transforms.seen_labels import KeepSeenLabels
from rein_seg.download import cache_folder
from rein_seg.errors import UserError

FOLDER = '.rein_seg'
_FORMAT = 2  # of the counts; raised when labels are read otherwise


def class_counts(
    dataset: Any, *, cache_dir: str | None = None, workers: int | None = None
) -> np.ndarray:
    """Returns (N, K) int64 pixels of each class in each label, in the order of the data set.

    The counts of a `DomainDataset` are kept in a file. A change of a label file, of their list or
    of the label map leads to a new count. One process counts, the others wait and read.

    Args:
        dataset: A `DomainDataset`, or a ConcatDataset or RepeatDataset of such.
        cache_dir: Folder for the file; None takes ``.rein_seg`` below the data set's
            ``data_root``, or the user's cache if the former is not writable.
        workers: Number of threads that count.

    Classes that `KeepSeenLabels` hides have no pixels: neither weights nor samplers know of them.

    Raises:
        UserError: If it is another kind of data set, or a label cannot be read.

    Example:
        >>> from rein_seg.datasets import BlobsDataset
        >>> from rein_seg.datasets.sampling.class_counts import class_counts
        >>> dataset = BlobsDataset('dark', split='val', count=2, size=(32, 32), data_root='cache')
        >>> counts = class_counts(dataset)
        >>> counts.shape, counts.sum(axis=1)
        ((2, 2), array([1024, 1024]))
    """
    if isinstance(dataset, SeededDataset):
        return class_counts(dataset.dataset, cache_dir=cache_dir, workers=workers)
    if isinstance(dataset, ConcatDataset):
        parts = [class_counts(d, cache_dir=cache_dir, workers=workers) for d in dataset.datasets]
        return np.concatenate(parts)
    if isinstance(dataset, RepeatDataset):
        inner = class_counts(dataset.dataset, cache_dir=cache_dir, workers=workers)
        return np.tile(inner, (dataset.times, 1))
    if not isinstance(dataset, DomainDataset):
        raise UserError(
            f'the classes of a {type(dataset).__name__} cannot be counted: expected a '
            'DomainDataset, or a ConcatDataset or RepeatDataset of such'
        )
    if not dataset.labelled:
        raise UserError(f'domain {dataset.domain!r} has no labels whose classes could be counted')
    return _of_seen(_kept_or_counted(dataset, cache_dir, workers), dataset)


def class_frequencies(counts: np.ndarray) -> np.ndarray:
    """Returns (K,) share of each class in all labelled pixels, from (N, K) counts.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets.sampling.class_counts import class_frequencies
        >>> class_frequencies(np.array([[6, 0], [0, 2]]))
        array([0.75, 0.25])
    """
    pixels = counts.sum(0)
    return pixels / max(int(pixels.sum()), 1)


def absent_classes(
    pixels: Mapping[int, int], classes: Sequence[str], unseen: Collection[str] = ()
) -> str | None:
    """Returns a warning that names the classes without a pixel, None if each has some.

    Args:
        pixels: Class index -> pixels in the labels of the training data.
        classes: Names of the classes.
        unseen: Names of the classes that training never labels, which need no pixel.

    Example:
        >>> from collections import Counter
        >>> from rein_seg.datasets.sampling.class_counts import absent_classes
        >>> absent_classes(Counter({0: 9, 1: 3}), ('road', 'sky')) is None
        True
        >>> absent_classes(Counter({0: 9}), ('road', 'sky'))[:47]
        "no label of the training data has 'sky' (1 of 2"
    """
    seen = [(index, name) for index, name in enumerate(classes) if name not in unseen]
    absent = [name for index, name in seen if not pixels[index]]
    if not absent:
        return None
    return (
        f'no label of the training data has {", ".join(map(repr, absent))} ({len(absent)} of '
        f'{len(seen)} classes): expected some of every class, since a class that is never seen is '
        'never predicted; look at the order of the classes and, for labels of pixels, at label_map'
    )


def _of_seen(counts: np.ndarray, dataset: DomainDataset) -> np.ndarray:
    """Returns (N, K) counts without the classes that the data set's pipeline hides."""
    for step in dataset.pipeline.transforms:
        if isinstance(step, KeepSeenLabels):
            counts = counts.copy()
            counts[:, list(step.hidden(dataset.metainfo['classes']))] = 0
    return counts


def _kept_or_counted(dataset: Any, cache_dir: str | None, workers: int | None) -> np.ndarray:
    # one process counts; the others read its file
    counts = _find(dataset, cache_dir, workers) if dist.is_main_process() else None
    dist.barrier()
    return _find(dataset, cache_dir, workers) if counts is None else counts


def _find(dataset: Any, cache_dir: str | None, workers: int | None) -> np.ndarray:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    num_classes = len(dataset.metainfo['classes'])
    name = f'class_counts-{dataset.domain}-{fingerprint(dataset, infos)[:16]}.npz'
    for folder in _folders(dataset, cache_dir):
        counts = _read(folder / name, (len(infos), num_classes))
        if counts is not None:
            return counts

    def count(info: dict) -> np.ndarray:
        return np.bincount(load_classes(info).ravel(), minlength=256)[:num_classes]

    rows = in_parallel(count, infos, title=f'counting classes of {dataset.domain}', workers=workers)
    counts = np.stack(rows).astype(np.int64)
    _keep(counts, name, _folders(dataset, cache_dir))
    return counts


def fingerprint(dataset: Any, infos: list[dict]) -> str:
    """Returns a digest of everything that counts depend on: label files, label map, classes.

    A label file is known by its path below the data root, its size and the time of its change.
    """
    # relative paths: moved data keep their counts
    root = dataset.data_root or '.'
    files = [
        (os.path.relpath(info['seg_map_path'], root), *_stamp(info['seg_map_path']))
        for info in infos
    ]
    about = [
        _FORMAT,
        sorted((dataset.id_map or {}).items()),
        len(dataset.metainfo['classes']),
        dataset.ignore_index,
        dataset.wrong_size,
        repr(dataset.decode),
        files,
    ]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _stamp(path: str) -> tuple[int, int]:
    """Returns size and time of change of a file, or of the file that holds it."""
    place = Path(file_on_disk(path))
    state = place.stat() if place.is_file() else None
    return (0, 0) if state is None else (state.st_size, state.st_mtime_ns)


def _folders(dataset: Any, cache_dir: str | None) -> Iterator[Path]:
    if cache_dir is not None:
        yield Path(cache_dir)
        return
    yield Path(dataset.data_root or '.', FOLDER)
    yield cache_folder()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Returns the counts in a file, None if it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            counts = file['counts']
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        counts = np.empty(0)  # of no valid shape: counted again below
    if counts.shape != shape:
        print_log(f'{str(path)!r} is damaged: classes are counted again', logger='current')
        return None
    return counts


def _keep(counts: np.ndarray, name: str, folders: Iterator[Path]) -> None:
    error: OSError | None = None
    for folder in folders:
        try:
            with atomic_path(folder / name) as temporary, temporary.open('wb') as file:
                np.savez_compressed(file, counts=counts)
            return
        except OSError as refused:
            error = refused
    print_log(f'class counts could not be kept ({error}): they are counted again', logger='current')
