"""Drivable area of BDD100K, in the layouts of its two releases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset, images_of_split
from rein_seg.datasets.files.listing import is_there
from rein_seg.errors import UserError, near_misses

# release -> folder of labels, end of their names, raw id -> class index
_RELEASES: Mapping[str, tuple[str, str, Mapping[int, int]]] = {
    '2020': ('bdd100k/labels/drivable/masks/{split}', '.png', {0: 0, 1: 1, 2: 2, 255: 255}),
    '2018': (
        'bdd100k/drivable_maps/labels/{split}',
        '_drivable_id.png',
        {1: 0, 2: 1, 0: 2, 255: 255},
    ),
}
_SPLITS = {'train': 70000, 'val': 10000}


@DATASETS.register_module()
class BDD100KDrivableDataset(DomainDataset):
    """Images of BDD100K, labelled as directly drivable, alternatively drivable, background.

    Folders and ids are from memory and were not tried on a download.

    Args:
        domain: Name of the domain.
        split: train (70000 images) or val (10000).
        release: ``2020`` (``labels/drivable/masks``) or ``2018`` (``drivable_maps/labels``), which
            numbers the classes otherwise; None takes the release whose folder of labels is there.
        data_root: Folder that holds ``bdd100k``.
        **kwargs: As `DomainDataset`.

    Attributes:
        expected_images: Number of images in the split as downloaded.

    Raises:
        UserError: If split or release is unknown.

    Example:
        >>> from rein_seg.datasets import BDD100KDrivableDataset
        >>> dataset = BDD100KDrivableDataset('drivable', split='val', lazy_init=True)
        >>> dataset.places('seg_map_path'), dataset.expected_images
        (['bdd100k/labels/drivable/masks/val'], 10000)
    """

    METAINFO = dict(
        classes=('direct', 'alternative', 'background'),
        palette=[[219, 94, 86], [86, 211, 219], [70, 70, 70]],
    )

    def __init__(
        self,
        domain: str,
        *,
        split: str,
        release: Literal['2020', '2018'] | None = None,
        data_root: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.expected_images = images_of_split(domain, split, _SPLITS, kwargs)
        if release not in (None, *_RELEASES):
            raise UserError(
                f'domain {domain!r}: release={release!r}; {near_misses(str(release), _RELEASES)}'
            )
        labels, suffix, ids = _RELEASES[release or _found(Path(data_root or '.'), split)]
        known = dict(
            img_suffix='.jpg',
            seg_map_suffix=suffix,
            label_map=ids,
            data_prefix=dict(
                img_path=f'bdd100k/images/100k/{split}', seg_map_path=labels.format(split=split)
            ),
            hint='from bdd-data.berkeley.edu (100K images, drivable area); '
            'docs/reference/datasets.md',
        )
        super().__init__(domain, data_root=data_root, **{**known, **kwargs})


def _found(root: Path, split: str) -> str:
    """Returns the release that lies below a folder; the newer where there is none."""
    there = (name for name, (labels, _, _) in _RELEASES.items()
             if is_there(str(root / labels.format(split=split))))  # fmt: skip
    return next(there, '2020')
