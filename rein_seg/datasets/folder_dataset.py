"""Your own data: folders of images and labels, or a csv, with the classes named in the config."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.files.band_files import ARRAY
from rein_seg.datasets.files.label_files import BinaryMask, ColourLabels
from rein_seg.datasets.files.pairing import Pair, pair_csv
from rein_seg.datasets.files.split_rule import divide
from rein_seg.errors import UserError, near_misses

_IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_OF_BANDS = (*_IMAGES, ARRAY)
_LABELS = ('.png', '.tif', '.tiff', '.bmp', '.gif')
_PARTS = ('train', 'val')


@DATASETS.register_module()
class FolderDataset(DomainDataset):
    """A `DomainDataset` of any classes, in folders or listed in a csv.

    Classes and colours are ``metainfo=dict(classes=(...), palette=[...])``. A label must have the
    size of its image, and labels without an image are an error.

    Args:
        domain: Name that every sample carries into the metric.
        data_root: Folder that the other paths are relative to.
        data_prefix: ``img_path`` and ``seg_map_path`` folders; defaults to images and labels. Both
            may be the same folder if suffixes tell labels from images.
        split: Replaces ``{split}`` in ``data_prefix``, ``csv`` and ``ann_file``. A folder of
            ``data_prefix`` without ``{split}`` gets the split as its sub-folder.
        csv: File with an image and a label a row, instead of folders; see `pair_csv`.
        csv_columns: Names of its two columns.
        img_suffix: End of an image's file name, or several; defaults to the usual formats, of
            images with bands ``.npy``, too.
        seg_map_suffix: End of the label's file name, such as ``_segmentation.png``.
        part: For data without a validation split: ``train`` leaves out every ``hold_out``-th
            image, ``val`` takes only these; None takes all.
        hold_out: See ``part``; counted in the order of the names (the rows of a csv).
        rule: In place of ``hold_out``: ``dict(val=0.2, by='sequence', seed=0)``, see `divide`;
            ``test`` may be a further part.
        label_colours: (R, G, B) colours that labels are drawn in; the raw id of a pixel is the
            index of its colour in this list. None if labels hold ids.
        extra_labels: Whether labels without an image are allowed.
        **kwargs: As `DomainDataset`: label_map, ann_file, metainfo, pipeline, ...

    Raises:
        UserError: As `DomainDataset`, or if the classes are not named or options exclude one
            another.

    Example:
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import FolderDataset
        >>> for folder in ('images', 'labels'):
        ...     Path('leaves', folder).mkdir(parents=True)
        ...     for i in range(10):
        ...         _ = cv2.imwrite(f'leaves/{folder}/{i}.png', np.zeros((4, 4), np.uint8))
        >>> classes = dict(classes=('leaf', 'mould'))
        >>> options = dict(data_root='leaves', hold_out=5, metainfo=classes)
        >>> parts = [FolderDataset('leaves', part=part, **options) for part in ('train', 'val')]
        >>> [len(part) for part in parts]
        [8, 2]
    """

    folders: tuple[str, str] = ('images', 'labels')
    suffixes: tuple[str, ...] = _LABELS

    def __init__(
        self,
        domain: str,
        *,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        split: str | None = None,
        csv: str = '',
        csv_columns: Sequence[str] | None = None,
        ann_file: str = '',
        img_suffix: str | Sequence[str] | None = None,
        seg_map_suffix: str | Sequence[str] | None = None,
        part: str | None = None,
        hold_out: int = 10,
        rule: Mapping[str, Any] | None = None,
        label_colours: Sequence[Sequence[int]] | None = None,
        extra_labels: bool = False,
        **kwargs: Any,
    ) -> None:
        folders = dict(zip(('img_path', 'seg_map_path'), self.folders, strict=True))
        given = dict(
            data_prefix=data_prefix,
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
        )
        self.extra_labels = extra_labels
        self.csv = _at_split(csv, split)
        self.csv_columns, self.part, self.hold_out = csv_columns, part, hold_out
        self.rule = rule
        self._check_options(domain, [name for name, value in given.items() if value])
        self._check_classes(domain, kwargs.get('metainfo') or self.METAINFO)
        if label_colours is not None:
            self.decode = ColourLabels(tuple(tuple(colour) for colour in label_colours))
        super().__init__(
            domain,
            data_root=data_root,
            data_prefix={
                key: _at_split(folder, split, sub_folder=True)
                for key, folder in {**folders, **(data_prefix or {})}.items()
            },
            ann_file=_at_split(ann_file, split),
            img_suffix=img_suffix or (_IMAGES if kwargs.get('bands') is None else _OF_BANDS),
            seg_map_suffix=seg_map_suffix or self.suffixes,
            **kwargs,
        )

    def pairs(self) -> list[Pair]:
        """Returns image and label of every sample."""
        if self.csv:
            root = Path(self.data_root or '.')
            return pair_csv(root / self.csv, root=root, columns=self.csv_columns)
        return super().pairs()

    def take_part(self, pairs: list[Pair]) -> list[Pair]:
        """Returns the pairs of ``part``, of those that ``skip`` leaves."""
        if self.part is None:
            return pairs
        if self.rule is not None:
            return self._of_rule(pairs, self.rule)
        # every n-th name, not a random draw: the same images whatever the seed
        wanted = self.part == 'val'
        kept = [pair for i, pair in enumerate(pairs, start=1) if (i % self.hold_out == 0) == wanted]
        self.left_out[f'pairs of the other part (hold_out={self.hold_out})'] += len(pairs) - len(
            kept
        )
        if not kept:
            raise UserError(
                f'part={self.part!r} of {len(pairs)} images with hold_out={self.hold_out} is '
                'empty: lower hold_out, or take a set of its own'
            )
        return kept

    def _of_rule(self, pairs: list[Pair], rule: Mapping[str, Any]) -> list[Pair]:
        places = self.places('img_path') if not self.csv else [self.data_root or '']
        parts = divide([_below(str(image), places) for image, _ in pairs], rule)
        kept = [pair for pair, part in zip(pairs, parts, strict=True) if part == self.part]
        self.left_out['pairs of the other parts (rule)'] += len(pairs) - len(kept)
        return kept

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> None:
        """Returns None: ``metainfo`` names the labels' own classes, it does not select some."""

    def _check_ids(self) -> None:
        super()._check_ids()
        classes = len(self.metainfo['classes'])
        colours = getattr(self.decode, 'colours', ())
        if self.id_map is None and len(colours) > classes:
            raise UserError(
                f'domain {self.domain!r}: label_colours has {len(colours)} colours for {classes} '
                'classes: say what becomes of each place in it with label_map={place: class or 255}'
            )

    def _check_options(self, domain: str, given: list[str]) -> None:
        if self.csv and given:
            raise UserError(
                f'domain {domain!r}: {", ".join(given)} would have no effect beside '
                f'csv={self.csv!r}; leave it out'
            )
        parts = _PARTS if self.rule is None else ('train', *(set(self.rule) & {'val', 'test'}))
        if self.part is not None and self.part not in parts:
            raise UserError(
                f'domain {domain!r}: part={self.part!r}; {near_misses(self.part, parts)}'
            )
        if self.rule is not None and self.part is None:
            raise UserError(
                f'domain {domain!r}: rule={dict(self.rule)} has no effect without part: give '
                "part='train' or another part of it"
            )
        if self.hold_out < 2:
            raise UserError(f'domain {domain!r}: hold_out={self.hold_out}; expected 2 or more')

    def _check_classes(self, domain: str, metainfo: Mapping[str, Any]) -> None:
        if not metainfo.get('classes'):
            raise UserError(
                f'domain {domain!r}: its classes have no names: give '
                "metainfo=dict(classes=('background', ...)), in the order of the ids"
            )


@DATASETS.register_module()
class BinaryFolderDataset(FolderDataset):
    """A `FolderDataset` of one thing and its background; folders images and masks.

    Masks are grey pictures of 0 and 1 or of 0 and 255; see `BinaryMask` for other masks.

    Args:
        domain: Name that every sample carries into the metric.
        threshold: Lowest grey value of the foreground, for masks with soft edges or stored as
            JPEG; None refuses values in between.
        label_map: Raw id -> 0, 1 or 255 for masks of other ids; ``{0: 1, 255: 0}`` inverts.
        **kwargs: As `FolderDataset`; ``metainfo=dict(classes=('background', 'polyp'))`` names the
            thing.

    Raises:
        UserError: As `FolderDataset`, or if there are not two classes.

    Example:
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.datasets import BinaryFolderDataset
        >>> for folder, value in (('images', 90), ('masks', 255)):
        ...     Path('polyps', folder).mkdir(parents=True)
        ...     _ = cv2.imwrite(f'polyps/{folder}/a.png', np.full((4, 4), value, np.uint8))
        >>> dataset = BinaryFolderDataset(
        ...     'polyps', data_root='polyps', pipeline=[dict(type='LoadLabels')]
        ... )
        >>> dataset[0]['gt_seg_map'].max()  # 255 is the thing, class 1
        np.uint8(1)
    """

    METAINFO = dict(classes=('background', 'foreground'), palette=[[0, 0, 0], [220, 20, 60]])

    folders = ('images', 'masks')
    suffixes = (*_LABELS, '.jpg', '.jpeg')

    def __init__(
        self,
        domain: str,
        *,
        threshold: int | None = None,
        label_map: Mapping[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        if threshold is not None and (label_map is not None or not 1 <= threshold <= 255):
            raise UserError(
                f'domain {domain!r}: threshold={threshold}: expected a grey value of 1 to 255, '
                'and no label_map beside it'
            )
        if 'label_colours' in kwargs:
            raise UserError(
                f'domain {domain!r}: label_colours is for FolderDataset; it takes two classes, too'
            )
        self.decode = BinaryMask(threshold, either=label_map is None)
        super().__init__(domain, label_map=label_map or {0: 0, 1: 1, 255: 1}, **kwargs)

    def _check_classes(self, domain: str, metainfo: Mapping[str, Any]) -> None:
        classes = metainfo.get('classes', self.METAINFO['classes'])
        if len(classes) != 2:
            raise UserError(
                f'domain {domain!r} has the classes {tuple(classes)}: expected the background and '
                'one thing; for more use FolderDataset'
            )


def _at_split(path: str, split: str | None, *, sub_folder: bool = False) -> str:
    """Returns a path with the split in its place."""
    if split is None:
        return path
    if '{split}' in path or not sub_folder:
        return path.replace('{split}', split)
    return f'{path}/{split}'


def _below(path: str, folders: Sequence[str]) -> str:
    """Returns the path of an image below its folder, without its suffix.

    However the folder is written (``.``, ``./images``), so that a rule divides alike everywhere.
    """
    path = os.path.normpath(path)
    for folder in (os.path.normpath(one) for one in folders if one):
        if path.startswith(folder + os.sep):
            path = path[len(folder) + 1 :]
            break
    return os.path.splitext(path)[0]
