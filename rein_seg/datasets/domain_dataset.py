"""A folder of images and a folder of labels, as one domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from rein_seg.errors import UserError


@DATASETS.register_module()
class DomainDataset(BaseSegDataset):
    """Images and labels of one domain, paired by name, found recursively.

    Args:
        domain: Name that every sample carries into the metric.
        data_root: Folder that ``data_prefix`` is relative to; left out of a config, the
            top-level ``data_root`` (`load_config` fills it in).
        data_prefix: ``img_path`` and ``seg_map_path`` folders.
        img_suffix: End of an image's file name.
        seg_map_suffix: What stands in its place in the label's file name.
        ann_file: File of names without suffix, one a line, that make up the split; '' takes all.
        label_map: Raw label id -> class index or ``ignore_index``; None means labels hold class
            indexes already. An id in neither is an error when it is read.
        hint: Where to get the data, for messages.
        **kwargs: As mmseg's `BaseSegDataset` (pipeline, metainfo, test_mode, ...).

    Raises:
        UserError: If a folder is missing or holds no images, an image has no label, or
            ``label_map`` maps outside the classes.
    """

    def __init__(
        self,
        domain: str,
        *,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        img_suffix: str = '.png',
        seg_map_suffix: str = '.png',
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
        """Returns image and label path of every sample, sorted by name."""
        images_dir = self._folder('img_path', 'images')
        labels_dir = self._folder('seg_map_path', 'labels')
        images = self._split(_names(images_dir, self.img_suffix))
        labels = set(_names(labels_dir, self.seg_map_suffix))
        if not images:
            raise UserError(
                f'domain {self.domain!r}: no file ends in {self.img_suffix!r} in '
                f'{str(images_dir)!r}; {self.hint}'
            )
        label_of = {name: name[: -len(self.img_suffix)] + self.seg_map_suffix for name in images}
        alone = [name for name in images if label_of[name] not in labels]
        if alone:
            raise UserError(
                f'domain {self.domain!r}: {len(alone)} of {len(images)} images have no label; '
                f'first: {str(images_dir / alone[0])!r} needs '
                f'{str(labels_dir / label_of[alone[0]])!r}'
            )
        return [
            dict(
                img_path=str(images_dir / name),
                seg_map_path=str(labels_dir / label_of[name]),
                reduce_zero_label=False,
                seg_fields=[],
            )
            for name in images
        ]

    def get_data_info(self, idx: int) -> dict:
        """Returns one sample's paths, with what all samples share: domain and label ids."""
        info = super().get_data_info(idx)
        return {
            **info,
            'domain': self.domain,
            'id_map': self.id_map,
            'num_classes': len(self.metainfo['classes']),
            'ignore_index': self.ignore_index,
        }

    def _split(self, images: list[str]) -> list[str]:
        """Returns the images that ``ann_file`` lists, or all."""
        if not self.ann_file:
            return images
        if not Path(self.ann_file).is_file():
            raise UserError(f'domain {self.domain!r}: ann_file {self.ann_file!r} does not exist')
        lines = Path(self.ann_file).read_text().splitlines()
        listed = [line.strip() + self.img_suffix for line in lines if line.strip()]
        missing = sorted(set(listed) - set(images))
        if missing:
            raise UserError(
                f'domain {self.domain!r}: {self.ann_file!r} lists {len(missing)} images that are '
                f'not there; first: {missing[0]!r}'
            )
        return sorted(listed)

    def _folder(self, key: str, what: str) -> Path:
        folder = Path(self.data_prefix[key])
        if not folder.is_dir():
            raise UserError(
                f'domain {self.domain!r}: folder of {what} {str(folder)!r} does not exist: put or '
                'link the data there, or point data_root elsewhere (--cfg-options data_root=DIR, '
                f"or in the data set's own config); {self.hint}"
            )
        return folder


def _names(folder: Path, suffix: str) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob(f'*{suffix}')
        if not path.name.startswith('.')
    )


def leaf_datasets(dataset: Any) -> list[Any]:
    """Returns the data sets inside ConcatDataset, RepeatDataset and the like, else itself."""
    parts = getattr(dataset, 'datasets', None)
    if parts is None and hasattr(dataset, 'dataset'):
        parts = [dataset.dataset]
    return [dataset] if parts is None else [leaf for part in parts for leaf in leaf_datasets(part)]
