"""The 19 Cityscapes classes, the label space of most benchmarks here."""

from __future__ import annotations

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset

_TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

# raw ids of Cityscapes (labelIds) and GTAV -> class index; the void ids and 255 are ignored
CITYSCAPES_LABEL_IDS: dict[int, int] = {
    **dict.fromkeys((*range(35), 255), 255),
    **{raw: index for index, raw in enumerate(_TRAINED)},
}

LABEL_IDS: dict[str, dict[int, int] | None] = {'train': None, 'cityscapes': CITYSCAPES_LABEL_IDS}


@DATASETS.register_module()
class CityscapesSpaceDataset(DomainDataset):
    """A `DomainDataset` in the 19 Cityscapes classes.

    Args:
        domain: Name of the domain.
        label_ids: What the label files hold: ``cityscapes`` (raw ids 0 to 34, as Cityscapes and
            GTAV come) or ``train`` (class indexes and 255, as BDD100K and ACDC come).
        **kwargs: As `DomainDataset`.
    """

    METAINFO = CityscapesDataset.METAINFO

    def __init__(self, domain: str, *, label_ids: str = 'train', **kwargs) -> None:
        super().__init__(domain, label_map=LABEL_IDS[label_ids], **kwargs)
