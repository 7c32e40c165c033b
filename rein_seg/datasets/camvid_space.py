"""The 11 classes of CamVid, and how the classes of other street data sets become them.

CamVid's own 32 classes are grouped into 11: buildings with walls, cars with trucks, buses and
trains, bicyclists with motorcycles. Here ids of Cityscapes are grouped alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmseg.registry import DATASETS

from rein_seg.datasets.camvid import CamVidDataset
from rein_seg.datasets.cityscapes_space import CITYSCAPES_CLASSES, LABEL_IDS, CityscapesSpaceDataset
from rein_seg.datasets.miniscapes_dataset import MiniScapesDataset

CAMVID_CLASSES: tuple[str, ...] = CamVidDataset.METAINFO['classes']

# Cityscapes label id -> CamVid class. Every other id is ignored. So is terrain (22): CamVid counts
# grass to trees, Cityscapes counts much else to terrain.
_CLASS_OF_LABEL_ID: dict[int, str] = {
    23: 'sky',
    **dict.fromkeys((11, 12), 'building'),  # and wall
    **dict.fromkeys((17, 18), 'pole'),  # and polegroup
    7: 'road',
    8: 'pavement',
    21: 'tree',
    **dict.fromkeys((19, 20), 'sign symbol'),  # traffic light, traffic sign
    13: 'fence',
    **dict.fromkeys((26, 27, 28, 29, 31), 'car'),  # truck, bus, caravan, train
    24: 'pedestrian',
    **dict.fromkeys((25, 32, 33), 'bicyclist'),  # rider, motorcycle, bicycle
}
_CITYSCAPES = {
    **dict.fromkeys(LABEL_IDS['cityscapes'] or {}, 255),
    **{raw: CAMVID_CLASSES.index(name) for raw, name in _CLASS_OF_LABEL_ID.items()},
}
# Index of a Cityscapes class -> CamVid class
_OF_INDEX = {
    index: _CITYSCAPES[raw]
    for raw, index in (LABEL_IDS['cityscapes'] or {}).items()
    if index != 255
}


def _through_cityscapes(ids: Mapping[int, int] | None) -> dict[int, int]:
    """Returns raw id -> CamVid class for ids whose Cityscapes class is known; None: indexes."""
    ids = {**{i: i for i in range(len(CITYSCAPES_CLASSES))}, 255: 255} if ids is None else ids
    return {raw: _OF_INDEX.get(index, 255) for raw, index in ids.items()}


# as LABEL_IDS of the Cityscapes classes; ``camvid`` are the 11 class indexes themselves
CAMVID_LABEL_IDS: dict[str, dict[int, int] | None] = {
    'camvid': None,
    **{name: _through_cityscapes(ids) for name, ids in LABEL_IDS.items()},
    # label ids tell more than the 19 classes: groups of poles, caravans
    'cityscapes': _CITYSCAPES,
}


@DATASETS.register_module()
class CamVidSpaceDataset(CityscapesSpaceDataset):
    """Street scenes of any known layout in the 11 classes of CamVid.

    Args:
        domain: Name of the domain.
        **kwargs: As `CityscapesSpaceDataset`; ``label_ids`` may also be ``camvid``: the indexes 0
            to 10 and 255.

    Example:
        >>> from rein_seg.datasets.camvid_space import CAMVID_CLASSES, CAMVID_LABEL_IDS
        >>> CAMVID_CLASSES[CAMVID_LABEL_IDS['cityscapes'][29]]  # a caravan
        'car'
        >>> CAMVID_CLASSES[CAMVID_LABEL_IDS['train'][3]], CAMVID_LABEL_IDS['train'][9]
        ('building', 255)
    """

    METAINFO = CamVidDataset.METAINFO
    label_maps = CAMVID_LABEL_IDS
    own_ids = 'camvid'


@DATASETS.register_module()
class MiniCamVidDataset(MiniScapesDataset):
    """The scenes of `MiniScapesDataset` in the 11 classes of CamVid; terrain is ignored.

    Args:
        domain: As `MiniScapesDataset`.
        **kwargs: As `MiniScapesDataset`.

    Example:
        >>> from rein_seg.datasets import MiniCamVidDataset
        >>> dataset = MiniCamVidDataset(
        ...     'fog', split='val', count=1, size=(64, 32), data_root='cache'
        ... )
        >>> len(dataset.metainfo['classes'])
        11
    """

    METAINFO = CamVidDataset.METAINFO

    def __init__(self, domain: str, **kwargs) -> None:
        kwargs.setdefault('label_map', CAMVID_LABEL_IDS['train'])
        super().__init__(domain, **kwargs)
