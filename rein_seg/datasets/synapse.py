"""Synapse multi-organ CT, as TransUNet's release has it: training slices, test volumes."""

from __future__ import annotations

from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.volume_dataset import VolumeDataset
from rein_seg.errors import UserError, near_misses

# folder, suffix, images as downloaded
_SPLITS = {'train': ('train_npz', '.npz', 2211), 'test': ('test_vol_h5', '.npy.h5', None)}
_HINT = (
    'from the data of TransUNet (github.com/Beckschen/TransUNet): train_npz/*.npz, '
    'test_vol_h5/*.npy.h5'
)


@DATASETS.register_module()
class SynapseVolumeDataset(VolumeDataset):
    """Slices of abdominal CT with eight organs: ``train_npz/*.npz``, ``test_vol_h5/*.npy.h5``.

    Images are 0..1: Hounsfield units clipped to -125..275, then scaled. Labels are class indexes,
    0 to 8.
    For volumes of other classes take `VolumeDataset`.

    Args:
        domain: Name of the domain.
        split: train or test.
        ann_file: File that lists names of slices or volumes, such as
            ``lists_Synapse/train.txt``; '' takes all.
        **kwargs: As `VolumeDataset`.

    Attributes:
        expected_images: Number of slices in the training set as downloaded.

    Raises:
        UserError: As `VolumeDataset`, or if the split is unknown.

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
        super().__init__(
            domain,
            ann_file=ann_file,
            **{
                'data_prefix': dict(img_path=folder),
                'img_suffix': suffix,
                'hint': _HINT,
                **kwargs,
            },
        )
