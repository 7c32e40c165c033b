"""PASCAL VOC 2012 without its background, and PASCAL-Context, in mmseg's layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmseg.datasets import PascalContextDataset, PascalContextDataset59, PascalVOCDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset, images_of_split
from rein_seg.datasets.files.pairing import Pair, pair_folders
from rein_seg.errors import UserError

# 0 is the background
VOC20_LABEL_IDS: dict[int, int] = {0: 255, 255: 255, **{raw: raw - 1 for raw in range(1, 21)}}
CONTEXT59_LABEL_IDS: dict[int, int] = {0: 255, 255: 255, **{raw: raw - 1 for raw in range(1, 60)}}
_VOC, _CONTEXT = 'VOCdevkit/VOC2012', 'VOCdevkit/VOC2010'
_OFFICIAL, _AUGMENTED = 'SegmentationClass', 'SegmentationClassAug'
# images; train_aug has the labels of Hariharan et al. (SBD) beside the official ones
_VOC_SPLITS = {'train': 1464, 'train_aug': 10582, 'val': 1449}
_CONTEXT_SPLITS = {'train': 4998, 'val': 5105}
# lists of train_aug with the folder of their labels. mmseg's converter also writes trainaug.txt,
# but it labels only SBD's images: some of train.txt have no label in that folder
_AUG_LISTS = (
    (('train', _OFFICIAL), ('aug', _AUGMENTED)),
    (('trainaug', _AUGMENTED),),
    (('train_aug', _AUGMENTED),),
)


@DATASETS.register_module()
class VOC20Dataset(DomainDataset):
    """The 20 classes of PASCAL VOC 2012; the background is ignored.

    Args:
        domain: Name of the domain.
        split: ``train``, ``val``, or ``train_aug``: ``train.txt`` with the official labels and
            ``aug.txt`` with the labels of SBD in ``SegmentationClassAug``, as mmseg's converter
            writes them; without ``aug.txt`` all images of ``trainaug.txt`` (or ``train_aug.txt``)
            with labels of ``SegmentationClassAug``.
        **kwargs: As `DomainDataset`.

    Attributes:
        expected_images: Number of images in the split as downloaded; None for a part of it.

    Raises:
        UserError: If there is no such split.

    Source: Everingham et al., IJCV 2015; SBD: Hariharan et al., ICCV 2011. Names and colours of the
    classes are mmseg's.

    Example:
        >>> from rein_seg.datasets import VOC20Dataset
        >>> from rein_seg.datasets.pascal import VOC20_LABEL_IDS
        >>> classes = VOC20Dataset.METAINFO['classes']
        >>> len(classes), classes[VOC20_LABEL_IDS[1]], VOC20_LABEL_IDS[0]
        (20, 'aeroplane', 255)
    """

    METAINFO = {key: values[1:] for key, values in PascalVOCDataset.METAINFO.items()}

    def __init__(self, domain: str, *, split: str, **kwargs: Any) -> None:
        self.expected_images = images_of_split(domain, split, _VOC_SPLITS, kwargs)
        self.split = split
        labels = _AUGMENTED if split == 'train_aug' else _OFFICIAL
        prefix = dict(img_path=f'{_VOC}/JPEGImages', seg_map_path=f'{_VOC}/{labels}')
        kwargs.setdefault('hint', _voc_hint(split))
        if split != 'train_aug':
            kwargs.setdefault('ann_file', f'{_VOC}/ImageSets/Segmentation/{split}.txt')
        super().__init__(
            domain,
            data_prefix={**prefix, **(kwargs.pop('data_prefix', None) or {})},
            img_suffix='.jpg',
            seg_map_suffix='.png',
            label_map=VOC20_LABEL_IDS,
            **kwargs,
        )

    def pairs(self) -> list[Pair]:
        """Returns image and label of every sample, sorted by the image's name."""
        if self.ann_file:
            return super().pairs()
        images, labels = self._folder('img_path', 'images'), self._folder('seg_map_path', 'labels')
        lists = Path(images).parent / 'ImageSets/Segmentation'
        found: list[Pair] = []
        for name, folder in self._lists(lists):
            found += pair_folders(
                images,
                labels if folder == _AUGMENTED else Path(labels).parent / folder,
                img_suffixes=['.jpg'],
                seg_suffixes=['.png'],
                split_file=str(lists / f'{name}.txt'),
                hint=self.hint,
            )
        return sorted(found, key=lambda pair: str(pair[0]))

    def _lists(self, folder: Path) -> tuple[tuple[str, str], ...]:
        for lists in _AUG_LISTS:
            if all((folder / f'{name}.txt').is_file() for name, _ in lists):
                return lists
        raise UserError(
            f'{str(folder)!r} lists no images of split train_aug: expected train.txt and '
            f'aug.txt, or trainaug.txt; {self.hint}'
        )


def _voc_hint(split: str) -> str:
    hint = (
        'from host.robots.ox.ac.uk/pascal/VOC/voc2012 (VOCtrainval_11-May-2012.tar); expected '
        f'{_VOC}/JPEGImages/*.jpg, {_VOC}/{_OFFICIAL}/*.png and {_VOC}/ImageSets/Segmentation/*.txt'
    )
    if split != 'train_aug':
        return hint
    return (
        f'{hint}; split train_aug needs the labels of SBD in {_VOC}/{_AUGMENTED}/*.png, which '
        "mmseg's tools/dataset_converters/voc_aug.py writes with its list aug.txt"
    )


class _ContextDataset(DomainDataset):
    label_ids: dict[int, int] | None

    def __init__(self, domain: str, *, split: str, **kwargs: Any) -> None:
        self.expected_images = images_of_split(domain, split, _CONTEXT_SPLITS, kwargs)
        lists, labels = f'{_CONTEXT}/ImageSets/SegmentationContext', 'SegmentationClassContext'
        prefix = dict(img_path=f'{_CONTEXT}/JPEGImages', seg_map_path=f'{_CONTEXT}/{labels}')
        kwargs.setdefault('ann_file', f'{lists}/{split}.txt')
        kwargs.setdefault(
            'hint',
            "images of VOC 2010 (host.robots.ox.ac.uk/pascal/VOC/voc2010); labels by mmseg's "
            'tools/dataset_converters/pascal_context.py; expected '
            f'{_CONTEXT}/{labels}/*.png and {lists}/{split}.txt',
        )
        super().__init__(
            domain,
            data_prefix={**prefix, **(kwargs.pop('data_prefix', None) or {})},
            img_suffix='.jpg',
            seg_map_suffix='.png',
            label_map=self.label_ids,
            **kwargs,
        )


@DATASETS.register_module()
class Context59Dataset(_ContextDataset):
    """PASCAL-Context in 59 classes; the background is ignored.

    Args:
        domain: Name of the domain.
        split: ``train`` or ``val``.
        **kwargs: As `DomainDataset`.

    Attributes:
        expected_images: Number of images in the split as downloaded; None for a part of it.

    Raises:
        UserError: If there is no such split.

    Source: Mottaghi et al., CVPR 2014. Names and colours of the classes are mmseg's.

    Example:
        >>> from rein_seg.datasets import Context59Dataset, Context60Dataset
        >>> [kind.METAINFO['classes'][0] for kind in (Context59Dataset, Context60Dataset)]
        ['aeroplane', 'background']
    """

    METAINFO = PascalContextDataset59.METAINFO
    label_ids = CONTEXT59_LABEL_IDS


@DATASETS.register_module()
class Context60Dataset(_ContextDataset):
    """PASCAL-Context in 60 classes, the background first; else as `Context59Dataset`.

    Example:
        >>> from rein_seg.datasets import Context60Dataset
        >>> len(Context60Dataset.METAINFO['classes'])
        60
    """

    METAINFO = PascalContextDataset.METAINFO
    label_ids = None
