"""COCO-Stuff 164k: scenes of all kinds, 171 classes of things and stuff."""

from __future__ import annotations

from typing import Any, Literal

from mmseg.datasets import COCOStuffDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset, images_of_split
from rein_seg.datasets.files.listing import list_files
from rein_seg.datasets.files.pairing import Pair
from rein_seg.errors import UserError

_FOLDER, _CONVERTED = 'coco_stuff164k', '_labelTrainIds.png'
_SPLITS = {'train': 118287, 'val': 5000}  # images
_UNUSED = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)  # of 0 to 181: things without an annotation
# value of a downloaded label, its class id minus 1 -> class index
COCO_STUFF_LABEL_IDS: dict[int, int] = {
    **{raw: i for i, raw in enumerate(v for v in range(182) if v not in _UNUSED)},
    255: 255,
}
_IDS = ('raw', 'train')


@DATASETS.register_module()
class COCOStuff164kDataset(DomainDataset):
    """COCO-Stuff with all images of COCO 2017, in mmseg's layout and order of the classes.

    Args:
        domain: Name of the domain.
        split: ``train`` or ``val``.
        label_ids: ``raw`` for labels as downloaded, ``train`` for class indexes, which mmseg's
            converter writes beside them as ``*_labelTrainIds.png``. None takes the latter where
            they are.
        **kwargs: As `DomainDataset`.

    Attributes:
        expected_images: Number of images in the split as downloaded; None for a part of it.

    Raises:
        UserError: If there is no such split, or ``label_ids`` is another word.

    Source: Caesar et al., CVPR 2018. Names and colours of the classes are mmseg's.

    Example:
        >>> from rein_seg.datasets import COCOStuff164kDataset
        >>> from rein_seg.datasets.coco_stuff import COCO_STUFF_LABEL_IDS
        >>> classes = COCOStuff164kDataset.METAINFO['classes']
        >>> len(classes), classes[COCO_STUFF_LABEL_IDS[20]], classes[COCO_STUFF_LABEL_IDS[181]]
        (171, 'cow', 'wood')
    """

    METAINFO = COCOStuffDataset.METAINFO

    def __init__(
        self,
        domain: str,
        *,
        split: str,
        label_ids: Literal['raw', 'train'] | None = None,
        **kwargs: Any,
    ) -> None:
        self.expected_images = images_of_split(domain, split, _SPLITS, kwargs)
        if label_ids is not None and label_ids not in _IDS:
            raise UserError(
                f'domain {domain!r}: label_ids={label_ids!r}: expected one of {_IDS}; leave it out '
                'to read the converted labels where they are'
            )
        self.label_ids = label_ids
        year = f'{split}2017'
        prefix = dict(
            img_path=f'{_FOLDER}/images/{year}', seg_map_path=f'{_FOLDER}/annotations/{year}'
        )
        zips = dict(
            img_path=[f'{_FOLDER}/{year}.zip'],
            seg_map_path=[f'{_FOLDER}/stuffthingmaps_trainval2017.zip/{year}'],
        )
        kwargs.setdefault(
            'hint',
            f'images from images.cocodataset.org/zips/{year}.zip, labels from '
            'calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/'
            f'stuffthingmaps_trainval2017.zip; expected {_FOLDER}/images/{year}/*.jpg and '
            f'{_FOLDER}/annotations/{year}/*.png, or the two zips in {_FOLDER}',
        )
        super().__init__(
            domain,
            data_prefix={**prefix, **(kwargs.pop('data_prefix', None) or {})},
            elsewhere=kwargs.pop('elsewhere', zips),
            img_suffix='.jpg',
            seg_map_suffix='.png',
            label_map=COCO_STUFF_LABEL_IDS,
            **kwargs,
        )

    def pairs(self) -> list[Pair]:
        """Returns image and label of every sample, sorted by the image's name."""
        labels = list_files(self._folder('seg_map_path', 'labels'))
        converted = any(name.endswith(_CONVERTED) for name in labels)
        if self.label_ids == 'train' or (self.label_ids is None and converted):
            self.seg_map_suffix, self.id_map = _CONVERTED, None
        return super().pairs()
