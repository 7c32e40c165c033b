"""Words in the names of folders and files: images or labels, which split, which domain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

IMAGES, LABELS = 'images', 'labels'
_IMAGE_WORDS = frozenset((
    'image', 'images', 'img', 'imgs', 'jpegimages', 'leftimg8bit', 'rgb', 'photo', 'photos',
    'picture', 'pictures', 'pics', 'frames', 'input', 'inputs', 'stills', 'stillsraw',
))  # fmt: skip
_LABEL_WORDS = frozenset((
    'label', 'labels', 'mask', 'masks', 'annotation', 'annotations', 'annot', 'annots',
    'segmentation', 'segmentations', 'segmentationclass', 'segmentationclassraw',
    'segmentationclassaug', 'seg', 'segs', 'gt', 'gtfine', 'gts', 'target', 'targets',
    'groundtruth', 'semantic', 'labeled', 'labelled', 'labelmap', 'labelmaps', 'indexlabel',
))  # fmt: skip
_SPLIT_WORDS = {
    'train': 'train', 'training': 'train', 'trn': 'train',
    'val': 'val', 'valid': 'val', 'validation': 'val', 'dev': 'val', 'eval': 'val',
    'test': 'test', 'testing': 'test', 'tst': 'test',
}  # fmt: skip
# ends of the names of labels, the longest first
LABEL_ENDS = (
    '_gtFine_labelIds', '_gtFine_labelTrainIds', '_labelTrainIds', '_labelIds', '_segmentation',
    '_segmentations', '_annotation', '_annotations', '_groundtruth', '_ground_truth', '_semantic',
    '_labels', '_label', '_masks', '_mask', '_seg', '_gt', '_GT', '_lbl', '-mask', '-label',
    '.mask', '.label', '_labelmap', '_target',
)  # fmt: skip
_IMAGE_ENDS = ('_leftImg8bit', '_image', '_img', '_rgb', '-image', '_photo')
_STARTS = ('image_', 'img_', 'mask_', 'label_', 'labels_', 'gt_', 'seg_', 'im_')
# drawn beside the labels of Cityscapes, and no labels
NO_LABELS = ('_color', '_instanceids', '_polygons', '_instancetrainids', '_colored', '_overlay')
_YEAR = re.compile(r'^(train|val|test)\d{4}$')
_TOKENS = re.compile(r'[_\-. ]+')


@dataclass(frozen=True)
class Place:
    """The words of one file's path.

    Attributes:
        role: images, labels or None.
        domain: Folders above the role, and words beside the split; '' for none.
        split: train, val, test or None.
        below: Folders below, which are no split: sequences.
        stem: Name of the file without known beginnings and ends.
        end: The known end of the name, and the suffix.
    """

    role: str | None
    domain: str
    split: str | None
    below: str
    stem: str
    end: str

    @property
    def key(self) -> tuple[str, str | None, str, str]:
        """Equal for an image and its label."""
        return self.domain, self.split, self.below, self.stem


def read_place(path: str) -> Place:
    """Returns the words of a path below the folder of the data.

    Example:
        >>> from rein_seg.own_data.names import read_place
        >>> place = read_place('labels/day_train/0016E5_f1_mask.png')
        >>> place.role, place.domain, place.split, place.stem, place.end
        ('labels', 'day', 'train', '0016E5_f1', '_mask.png')
        >>> place.key == read_place('images/day_train/0016E5_f1.jpg').key
        True
    """
    pure = PurePosixPath(path)
    role: str | None = None
    split: str | None = None
    above: list[str] = []
    below: list[str] = []
    for part in pure.parts[:-1]:
        found, part_split, rest = _folder_words(part)
        named = found is not None or part_split is not None
        role, split = found or role, part_split or split
        if rest:
            (above if named or role is None else below).append(rest)
    stem, end, said = _stem(pure.stem)
    return Place(
        role=said or role,
        domain='/'.join(above),
        split=split,
        below='/'.join(below),
        stem=stem,
        end=end + pure.suffix,
    )


def _folder_words(name: str) -> tuple[str | None, str | None, str]:
    """Returns role, split and the other words of a folder's name."""
    role = split = None
    rest: list[str] = []
    for token in _TOKENS.split(_cut(name)):
        lower = _YEAR.sub(r'\1', token.lower())  # train2017
        if lower in _LABEL_WORDS:
            role = LABELS
        elif lower in _IMAGE_WORDS:
            role = role or IMAGES
        elif lower in _SPLIT_WORDS and split is None:
            split = _SPLIT_WORDS[lower]
        elif token:
            rest.append(token)
    if role is None and split is None:
        return None, None, name
    return role, split, '_'.join(rest)


def _cut(name: str) -> str:
    """Cuts words that are written as one: trainannot."""
    return re.sub(r'(?i)^(train|val|test)(annots?|labels?|masks?|images?)$', r'\1_\2', name)


def _stem(stem: str) -> tuple[str, str, str | None]:
    """Returns a name without its known end, the end, and the role that the end says."""
    for ends, role in ((LABEL_ENDS, LABELS), (_IMAGE_ENDS, IMAGES)):
        for end in ends:
            if stem.endswith(end) and len(stem) > len(end):
                return stem[: -len(end)], end, role if role == LABELS else None
    for start in _STARTS:
        if stem.lower().startswith(start) and len(stem) > len(start):
            role = LABELS if start.rstrip('_') in _LABEL_WORDS else None
            return stem[len(start) :], '', role
    return stem, '', None
