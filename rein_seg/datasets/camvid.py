"""CamVid: one city filmed by day and at dusk."""

from __future__ import annotations

from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset

_SOURCE = 'mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid'


@DATASETS.register_module()
class CamVidDataset(DomainDataset):
    """CamVid in its 11-class form: ``images/SPLIT/*.jpg``, ``labels/SPLIT/*.png``, 255 void.

    Args:
        domain: Name of the domain.
        split: Sub-folder: ``day_train``, ``day_val`` or ``dusk_val``.
        **kwargs: As `DomainDataset`.

    Source: Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 30(2), 2009.
    """

    METAINFO = dict(
        classes=(
            'sky',
            'building',
            'pole',
            'road',
            'pavement',
            'tree',
            'sign symbol',
            'fence',
            'car',
            'pedestrian',
            'bicyclist',
        ),
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [0, 0, 192],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )

    def __init__(self, domain: str, *, split: str, **kwargs) -> None:
        kwargs.setdefault(
            'hint',
            f'from {_SOURCE}, in 11 classes as SegNet has it; expected images/{split}/*.jpg and '
            f'labels/{split}/*.png',
        )
        super().__init__(
            domain,
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}'),
            img_suffix='.jpg',
            seg_map_suffix='.png',
            **kwargs,
        )
