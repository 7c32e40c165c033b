"""Reads every sample of every data set and collects faults and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rein_seg.data_check.sources import Part
from rein_seg.datasets import DomainDataset, FolderDataset, ImageDataset
from rein_seg.datasets.files.faults import (
    COUNT,
    DUPLICATE,
    LISTING,
    MISSING,
    NO_IMAGE,
    NO_LABEL,
    Fault,
    collect_faults,
)
from rein_seg.datasets.files.listing import is_there
from rein_seg.datasets.files.pairing import suffixes
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.sample_check import SampleCheck, check_sample, faults_of_all
from rein_seg.errors import UserError


@dataclass
class PartCheck:
    """Findings about a data set.

    Attributes:
        part: The data set.
        infos: Fields of its samples, image and label paired.
        samples: Findings about each sample.
        faults: All faults, allowed faults included (`Fault.allowed`).
        tree: The expected files, a line each.
        found: Number of images, with or without a label.
    """

    part: Part
    infos: list[dict] = field(default_factory=list)
    samples: list[SampleCheck] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    tree: list[str] = field(default_factory=list)
    found: int = 0

    @property
    def wrong(self) -> list[Fault]:
        """The faults that no option of the config allows."""
        return [fault for fault in self.faults if not fault.allowed]

    def total(self, name: str) -> Counter:
        """Returns id -> pixels over all samples, of ``raw`` or of ``classes``."""
        pixels: Counter = Counter()
        for sample in self.samples:
            pixels.update(getattr(sample, name))
        return pixels


def check_data(
    parts: Sequence[Part], *, workers: int | None = None, duplicates: bool = False
) -> list[PartCheck]:
    """Checks data sets to their end, whatever their faults.

    Args:
        parts: From `read_parts`.
        workers: Number of threads; None takes one a core, eight at most.
        duplicates: Whether to look for training images in the validation and test data, by the
            content of their files.
    """
    checks = [_list(part) for part in parts]
    for check in checks:
        check.samples = in_parallel(
            lambda info: check_sample(info, digest=duplicates),
            check.infos,
            title=f'reading {check.part.name}' if check.infos else '',
            workers=workers,
        )
        for info, sample in zip(check.infos, check.samples, strict=True):
            check.faults += sample.faults
            if 'gt_label' in info:  # of a whole image, which counts as a pixel
                sample.classes[info['gt_label']] = 1
        pixels = check.samples and isinstance(check.part.dataset, DomainDataset)
        found = faults_of_all(check.infos[0], check.samples) if pixels else ()
        for kind, message in found:
            check.faults.append(Fault(kind, _place(check.part.dataset, 'seg_map_path'), message))
    if duplicates:
        _find_duplicates(checks)
    return checks


def _list(part: Part) -> PartCheck:
    check, dataset = PartCheck(part), part.dataset
    if isinstance(dataset, ImageDataset):
        return _list_images(check, dataset)
    if not isinstance(dataset, DomainDataset):
        message = f'{type(dataset).__name__} is no DomainDataset: it was not checked'
        check.faults.append(Fault(LISTING, '', message, allowed='not checked'))
        return check
    check.tree = _tree(dataset)
    # the pairs that a run would leave out are checked, too
    policy, dataset.wrong_size = dataset.wrong_size, 'keep'
    with collect_faults() as faults:
        try:
            dataset.full_init()
            check.infos = [
                {**dataset.get_data_info(i), 'wrong_size': policy} for i in range(len(dataset))
            ]
        except UserError as error:
            faults.append(_listing_fault(dataset, error))
    if isinstance(dataset, FolderDataset) and dataset.extra_labels:
        faults = [
            Fault(f.kind, f.file, f.message, 'extra_labels=True') if f.kind == NO_IMAGE else f
            for f in faults
        ]
    check.faults = faults
    alone = sum(f.kind == NO_LABEL for f in faults)
    check.found = len(check.infos) + alone
    # a missing folder is reported once, not as a wrong number of images, too
    gone = any(f.kind in (MISSING, LISTING) for f in faults) and not check.infos
    if part.expected is not None and check.found != part.expected and not gone:
        message = f'{part.name} has {check.found} images, expected are {part.expected}'
        check.faults.append(Fault(COUNT, _place(dataset, 'img_path'), message))
    return check


def _list_images(check: PartCheck, dataset: ImageDataset) -> PartCheck:
    check.tree = [f'{dataset.root or "data_root"}: {type(dataset).__name__}']
    try:
        dataset.full_init()
    except (UserError, OSError) as error:
        gone = not Path(dataset.root or '.').exists()
        check.faults.append(Fault(MISSING if gone else LISTING, dataset.root, str(error)))
        return check
    check.infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    check.found, expected = len(check.infos), check.part.expected
    if expected not in (None, check.found):
        message = f'{check.part.name} has {check.found} images, expected are {expected}'
        check.faults.append(Fault(COUNT, dataset.root, message))
    return check


def _listing_fault(dataset: DomainDataset, error: UserError) -> Fault:
    csv = getattr(dataset, 'csv', '')
    if csv:
        places = [str(Path(dataset.data_root or '.', csv))]
        gone = [place for place in places if not Path(place).is_file()]
    else:
        keys = ('img_path', 'seg_map_path') if dataset.labelled else ('img_path',)
        places = [_place(dataset, key) for key in keys]
        gone = [place for place in places if not is_there(place)]
    return Fault(MISSING if gone else LISTING, (gone or places)[0], str(error))


def _place(dataset: DomainDataset, key: str) -> str:
    """Returns the folder that is read, or the first candidate if none exists."""
    places = dataset.places(key)
    return next((place for place in places if is_there(place)), places[0])


def _tree(dataset: DomainDataset) -> list[str]:
    csv = getattr(dataset, 'csv', '')
    if csv:
        return [f'{Path(dataset.data_root or ".", csv)}: a csv, image and label a row']
    lines = []
    for key, ends, start in (
        ('img_path', dataset.img_suffix, dataset.starts[0]),
        ('seg_map_path', dataset.seg_map_suffix, dataset.starts[1]),
    ):
        ends = suffixes(ends)
        end = ends[0] if len(ends) == 1 else '{' + ','.join(ends) + '}'
        lines.append(' or '.join(f'{place}/**/{start}*{end}' for place in dataset.places(key)))
    # image and label may lie in one file
    return list(dict.fromkeys(lines)) if dataset.labelled else lines[:1]


def _find_duplicates(checks: Sequence[PartCheck]) -> None:
    trained: dict[str, str] = {}
    for check in checks:
        if 'train' in check.part.uses:
            for info, sample in zip(check.infos, check.samples, strict=True):
                # the first of equal images is named
                trained.setdefault(sample.digest, info['img_path'])
    for check in checks:
        if 'train' in check.part.uses:
            continue
        for info, sample in zip(check.infos, check.samples, strict=True):
            twin: Any = trained.get(sample.digest) if sample.digest else None
            if twin is not None:
                message = f'image {info["img_path"]!r} is {twin!r} of the training data, too'
                check.faults.append(Fault(DUPLICATE, info['img_path'], message))
