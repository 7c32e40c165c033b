"""The 19 Cityscapes classes, the label space of most benchmarks here."""

from __future__ import annotations

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.mapillary import MAPILLARY_CLASSES
from rein_seg.errors import UserError, near_misses

_TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

# raw ids of Cityscapes (labelIds) and GTAV -> class index; the void ids and 255 are ignored
CITYSCAPES_LABEL_IDS: dict[int, int] = {
    **dict.fromkeys((*range(35), 255), 255),
    **{raw: index for index, raw in enumerate(_TRAINED)},
}

_CLASSES = CityscapesDataset.METAINFO['classes']
MAPILLARY_LABEL_IDS: dict[int, int] = {
    raw: 255 if name is None else _CLASSES.index(name)
    for raw, (_, name) in enumerate(MAPILLARY_CLASSES)
}

LABEL_IDS: dict[str, dict[int, int] | None] = {
    'train': None,
    'cityscapes': CITYSCAPES_LABEL_IDS,
    'mapillary': MAPILLARY_LABEL_IDS,
}


@DATASETS.register_module()
class CityscapesSpaceDataset(DomainDataset):
    """A `DomainDataset` in the 19 Cityscapes classes.

    Args:
        domain: Name of the domain.
        label_ids: What the label files hold: ``cityscapes`` (raw ids 0 to 34, as Cityscapes and
            GTAV come), ``mapillary`` (raw ids 0 to 65 of Mapillary Vistas v1.2) or ``train``
            (class indexes and 255, as BDD100K and ACDC come).
        **kwargs: As `DomainDataset`.

    Raises:
        UserError: If label_ids is none of these.
    """

    METAINFO = CityscapesDataset.METAINFO

    def __init__(self, domain: str, *, label_ids: str = 'train', **kwargs) -> None:
        if label_ids not in LABEL_IDS:
            raise UserError(
                f'domain {domain!r}: label_ids={label_ids!r}; {near_misses(label_ids, LABEL_IDS)}'
            )
        super().__init__(domain, label_map=LABEL_IDS[label_ids], **kwargs)
