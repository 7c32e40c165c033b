"""Synapse multi-organ CT, as TransUNet's release has it: training slices, test volumes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.files.faults import BAD_IMAGE, refuse
from rein_seg.datasets.files.pairing import Pair, list_images, suffixes
from rein_seg.datasets.files.volumes import (
    IMAGE,
    LABEL,
    case_and_place,
    slice_path,
    split_path,
    volume_shape,
)
from rein_seg.errors import UserError, near_misses

# folder, suffix, images as downloaded
_SPLITS = {'train': ('train_npz', '.npz', 2211), 'test': ('test_vol_h5', '.npy.h5', None)}
_HINT = (
    'from the data of TransUNet (github.com/Beckschen/TransUNet): train_npz/*.npz, '
    'test_vol_h5/*.npy.h5'
)


@DATASETS.register_module()
class SynapseVolumeDataset(DomainDataset):
    """Slices of abdominal CT with eight organs: ``train_npz/*.npz``, ``test_vol_h5/*.npy.h5``.

    An npz holds ``image`` and ``label`` of a slice, (H, W); an h5 those of a volume, (D, H, W).
    Images are grey, 0..1 (Hounsfield units clipped to -125..275, then scaled), labels class indexes
    0 to 8. A slice is read as a picture: three equal channels of 8 bits, round(255 v), which the
    encoder's own normalisation takes as it takes any image.

    A sample carries ``case``, ``slice`` and ``slices``, from which `VolumeSegMetric` puts volumes
    together. npz files are read without pickles; h5 files need h5py, ``rein-seg[volumes]``.

    Args:
        domain: Name of the domain.
        split: train or test.
        ann_file: File that lists names of slices or volumes, such as
            ``lists_Synapse/train.txt``; '' takes all.
        **kwargs: As `DomainDataset`.

    Attributes:
        expected_images: Number of slices in the training set as downloaded.

    Raises:
        UserError: As `DomainDataset`; if the split is unknown, or a volume is damaged, empty, of
            several channels, or has a label of another shape.

    Source: Landman et al., "Multi-Atlas Labeling Beyond the Cranial Vault" (2015), prepared by
    Chen et al., "TransUNet" (2021).

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from rein_seg.datasets import SynapseVolumeDataset
        >>> Path('train_npz').mkdir()
        >>> np.savez('train_npz/case0005_slice000.npz', image=np.zeros((4, 6)),
        ...          label=np.ones((4, 6)))
        >>> steps = [dict(type='LoadDomainImage'), dict(type='LoadLabels')]
        >>> dataset = SynapseVolumeDataset('synapse', split='train', data_root='.', pipeline=steps)
        >>> sample = dataset[0]
        >>> sample['case'], sample['slice'], sample['img'].shape, sample['gt_seg_map'].max()
        ('case0005', 0, (4, 6, 3), np.uint8(1))
    """

    METAINFO = dict(
        classes=(
            'background', 'aorta', 'gallbladder', 'left kidney', 'right kidney', 'liver',
            'pancreas', 'spleen', 'stomach',
        ),
        palette=[
            [40, 40, 60], [220, 50, 60], [60, 160, 60], [80, 170, 210], [60, 90, 200],
            [180, 90, 60], [240, 170, 200], [120, 60, 160], [230, 200, 80],
        ],
    )  # fmt: skip

    def __init__(self, domain: str, *, split: str, ann_file: str = '', **kwargs: Any) -> None:
        if split not in _SPLITS:
            raise UserError(
                f'domain {domain!r}: split={split!r}: expected one of {list(_SPLITS)}; '
                f'{near_misses(split, _SPLITS)}'
            )
        folder, suffix, number = _SPLITS[split]
        self.expected_images = None if ann_file else number
        self._slices: Counter[str] = Counter()
        super().__init__(
            domain,
            ann_file=ann_file,
            **{
                'data_prefix': dict(img_path=folder, seg_map_path=folder),
                'img_suffix': suffix,
                'seg_map_suffix': suffix,
                'hint': _HINT,
                **kwargs,
            },
        )

    def pairs(self) -> list[Pair]:
        """Returns the paths of image and label of every slice, sorted by volume."""
        ends = suffixes(self.img_suffix)
        files = list_images(
            self._folder('img_path', 'volumes'), ends, hint=self.hint,
            split_file=self.ann_file, left_out=self.left_out,
        )  # fmt: skip
        pairs = [pair for file in files for pair in self._pairs_of(file, ends)]
        self._slices = Counter(split_path(str(image))[2] for image, _ in pairs)
        return pairs

    def _pairs_of(self, file: str, ends: tuple[str, ...]) -> list[Pair]:
        name = file.rpartition('/')[2]
        name = name[: -max(len(end) for end in ends if name.lower().endswith(end.lower()))]
        case, place = case_and_place(name)
        places = range(place, place + 1)
        if not file.lower().endswith('.npz'):
            try:
                case, places = name, range(volume_shape(file)[0])
            except UserError as error:
                refuse(BAD_IMAGE, [file], str(error))
                return []
        return [tuple(slice_path(file, key, case, at) for key in (IMAGE, LABEL)) for at in places]

    def get_data_info(self, idx: int) -> dict:
        """Returns the fields of a sample, with its place in its volume."""
        info = super().get_data_info(idx)
        _, _, case, place = split_path(info['img_path'])
        return {**info, 'case': case, 'slice': place, 'slices': self._slices[case]}
