"""Volumes in NumPy and HDF5 files, as slices of one domain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.files.faults import BAD_IMAGE, LISTING, refuse
from rein_seg.datasets.files.pairing import Pair, list_images, suffixes
from rein_seg.datasets.files.volumes import (
    IMAGE,
    LABEL,
    case_and_place,
    slice_path,
    split_path,
    volume_shape,
)
from rein_seg.errors import UserError

SUFFIXES = ('.npz', '.h5', '.hdf5')


@DATASETS.register_module()
class VolumeDataset(DomainDataset):
    """Slices of grey volumes, found recursively: npz files of a slice, h5 files of a volume.

    An npz holds ``image`` and ``label`` of a slice, (H, W), and is named ``CASE_sliceNNN.npz``; an
    h5 those of a volume, (D, H, W). Images have values 0..1, labels ids of classes. A slice is read
    as a picture: three equal channels of 8 bits, round(255 v), which the encoder's own
    normalisation takes as it takes any image.

    A sample carries ``case``, ``slice`` and ``slices``, from which `VolumeSegMetric` puts volumes
    together; in a subfolder ``case`` starts with its name, and ``slice`` counts from the first
    slice of the volume. npz files are read without pickles; h5 files need h5py,
    ``rein-seg[volumes]``.

    Args:
        domain: Name of the domain.
        img_suffix: End of a file's name, or several.
        **kwargs: As `DomainDataset`; ``data_prefix`` has ``img_path`` alone.

    Raises:
        UserError: As `DomainDataset`; if a file is damaged, empty, of several channels, or has a
            label of another shape, or two files hold the same slice of a volume.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from rein_seg.datasets import VolumeDataset
        >>> Path('scans').mkdir()
        >>> np.savez('scans/a_slice000.npz', image=np.zeros((4, 6)), label=np.ones((4, 6)))
        >>> dataset = VolumeDataset(
        ...     'mr', data_root='.', data_prefix=dict(img_path='scans'),
        ...     metainfo=dict(classes=('rest', 'liver')),
        ...     pipeline=[dict(type='LoadDomainImage'), dict(type='LoadLabels')],
        ... )
        >>> sample = dataset[0]
        >>> sample['case'], sample['slice'], sample['img'].shape, sample['gt_seg_map'].max()
        ('a', 0, (4, 6, 3), np.uint8(1))
    """

    def __init__(
        self, domain: str, *, img_suffix: str | Sequence[str] = SUFFIXES, **kwargs: Any
    ) -> None:
        self._ranges: dict[str, range] = {}
        prefix = dict(kwargs.pop('data_prefix', None) or {})
        place = prefix.setdefault('img_path', 'images')
        if prefix.setdefault('seg_map_path', place) != place:
            raise UserError(
                f'domain {domain!r}: data_prefix.seg_map_path={prefix["seg_map_path"]!r} would '
                f'have no effect: the files in {place!r} hold image and label; leave it out'
            )
        super().__init__(
            domain,
            data_prefix=prefix,
            img_suffix=img_suffix,
            seg_map_suffix=img_suffix,
            **kwargs,
        )

    def pairs(self) -> list[Pair]:
        """Returns the paths of image and label of every slice, sorted by volume."""
        ends = suffixes(self.img_suffix)
        files = list_images(
            self._folder('img_path', 'volumes'), ends, hint=self.hint,
            split_file=self.ann_file, left_out=self.left_out,
        )  # fmt: skip
        pairs = [pair for file in files for pair in self._pairs_of(file, ends)]
        self._ranges = self._find_ranges([str(image) for image, _ in pairs])
        return pairs

    def _images(self) -> list[str]:
        return [str(image) for image, _ in self.pairs()]

    def _pairs_of(self, file: str, ends: tuple[str, ...]) -> list[Pair]:
        name = file.rpartition('/')[2]
        name = name[: -max(len(end) for end in ends if name.lower().endswith(end.lower()))]
        case, place = case_and_place(name)
        places = range(place, place + 1)
        if not file.lower().endswith('.npz'):
            try:
                case, places = name, range(volume_shape(file, labelled=self.labelled)[0])
            except UserError as error:
                refuse(BAD_IMAGE, [file], str(error))
                return []
        return [tuple(slice_path(file, key, case, at) for key in (IMAGE, LABEL)) for at in places]

    def _find_ranges(self, images: Sequence[str]) -> dict[str, range]:
        """Returns, of each volume, as many places as it has slices, from its first slice on."""
        found: dict[str, dict[int, str]] = {}
        for image in images:
            case, place = self._case_and_place(image)
            file = split_path(image)[0]
            other = found.setdefault(case, {}).setdefault(place, file)
            if other != file:
                refuse(
                    LISTING,
                    [file],
                    f'slice {place} of volume {case!r} is in {other!r} and in {file!r}: expected '
                    'each slice once; remove or rename a file',
                )
        return {
            case: range(first := min(places), first + len(places)) for case, places in found.items()
        }

    def _case_and_place(self, image: str) -> tuple[str, int]:
        file, _, case, place = split_path(image)
        folder = os.path.relpath(os.path.dirname(file), self._folder('img_path', 'volumes'))
        return case if folder == '.' else f'{folder}/{case}', place

    def get_data_info(self, idx: int) -> dict:
        """Returns the fields of a sample, with its place in its volume."""
        info = super().get_data_info(idx)
        case, place = self._case_and_place(info['img_path'])
        places = self._ranges[case]
        return {**info, 'case': case, 'slice': place - places.start, 'slices': len(places)}
