"""A folder of images and a folder of labels, as one domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.label_files import Decode
from rein_seg.datasets.pairing import Pair, pair_folders, suffixes
from rein_seg.errors import UserError


@DATASETS.register_module()
class DomainDataset(BaseSegDataset):
    """Images and labels of one domain, paired by name, found recursively.

    Args:
        domain: Name that every sample carries into the metric.
        data_root: Folder that ``data_prefix`` is relative to; left out of a config, the
            top-level ``data_root`` (`load_config` fills it in).
        data_prefix: ``img_path`` and ``seg_map_path`` folders.
        img_suffix: End of an image's file name; several are possible.
        seg_map_suffix: What stands in its place in the label's file name; likewise.
        ann_file: File of names, one a line, that make up the split; '' takes all.
        label_map: Raw label id -> class index or ``ignore_index``; None means labels hold class
            indexes already. An id in neither is an error when it is read.
        hint: Where to get the data, for messages.
        **kwargs: As mmseg's `BaseSegDataset` (pipeline, metainfo, test_mode, ...).

    Raises:
        UserError: If a folder is missing or holds no images, an image has no label, or
            ``label_map`` maps outside the classes.
    """

    # what a label picture's values mean; None: they are the raw ids
    decode: Decode | None = None
    # whether a label must have the size of its image's file
    same_size = False
    # whether labels without an image are left alone
    extra_labels = True

    def __init__(
        self,
        domain: str,
        *,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        img_suffix: str | Sequence[str] = '.png',
        seg_map_suffix: str | Sequence[str] = '.png',
        label_map: Mapping[int, int] | None = None,
        hint: str = 'layout: docs/datasets.md',
        **kwargs: Any,
    ) -> None:
        self.domain = domain
        self.id_map = None if label_map is None else {int(k): v for k, v in label_map.items()}
        self.hint = hint
        super().__init__(
            data_root=data_root,
            data_prefix=dict(data_prefix or dict(img_path='images', seg_map_path='labels')),
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )
        self._check_ids()

    def _check_ids(self) -> None:
        if self.reduce_zero_label or self.label_map is not None:
            raise UserError(
                f'domain {self.domain!r}: reduce_zero_label and a reordered class list have no '
                'effect here; say what becomes of each raw id with label_map={raw: index or 255}'
            )
        classes = len(self.metainfo['classes'])
        allowed = {*range(classes), self.ignore_index}
        wrong = {k: v for k, v in (self.id_map or {}).items() if v not in allowed or k < 0}
        if wrong:
            raise UserError(
                f'domain {self.domain!r}: label_map {wrong} maps outside its {classes} classes '
                f'(0 to {classes - 1}, ignored: {self.ignore_index})'
            )

    def load_data_list(self) -> list[dict]:
        """Returns image and label path of every sample, in the order of `pairs`."""
        try:
            pairs = self.pairs()
        except UserError as error:
            raise UserError(f'domain {self.domain!r}: {error}') from error
        return [
            dict(
                img_path=str(image),
                seg_map_path=str(label),
                reduce_zero_label=False,
                seg_fields=[],
            )
            for image, label in pairs
        ]

    def pairs(self) -> list[Pair]:
        """Returns image and label of every sample, sorted by the image's name."""
        return pair_folders(
            self._folder('img_path', 'images'),
            self._folder('seg_map_path', 'labels'),
            img_suffixes=suffixes(self.img_suffix),
            seg_suffixes=suffixes(self.seg_map_suffix),
            split_file=self.ann_file,
            hint=self.hint,
            extra_labels=self.extra_labels,
        )

    def get_data_info(self, idx: int) -> dict:
        """Returns one sample's paths, with what all samples share: domain and label ids."""
        info = super().get_data_info(idx)
        return {
            **info,
            'domain': self.domain,
            'id_map': self.id_map,
            'num_classes': len(self.metainfo['classes']),
            'ignore_index': self.ignore_index,
            'decode': self.decode,
            'same_size': self.same_size,
        }

    def _folder(self, key: str, what: str) -> Path:
        folder = Path(self.data_prefix[key])
        if not folder.is_dir():
            raise UserError(
                f'folder of {what} {str(folder)!r} does not exist: put or link the data there, or '
                "point data_root elsewhere (--cfg-options data_root=DIR, or in the data set's own "
                f'config); {self.hint}'
            )
        return folder


def leaf_datasets(dataset: Any) -> list[Any]:
    """Returns the data sets inside ConcatDataset, RepeatDataset and the like, else itself."""
    parts = getattr(dataset, 'datasets', None)
    if parts is None and hasattr(dataset, 'dataset'):
        parts = [dataset.dataset]
    return [dataset] if parts is None else [leaf for part in parts for leaf in leaf_datasets(part)]
