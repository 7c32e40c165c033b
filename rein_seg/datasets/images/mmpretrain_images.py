"""The classification data sets of mmpretrain, as domains."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from mmpretrain.registry import DATASETS as THEIRS
from mmseg.registry import DATASETS

from rein_seg.datasets.images.dataset import ImageDataset, LabelledImage
from rein_seg.datasets.images.flowers import FLOWERS
from rein_seg.errors import UserError, near_misses

# names of classes that mmpretrain does not have
_NAMES = {'Flowers102': FLOWERS}


@DATASETS.register_module()
class MMPretrainImages(ImageDataset):
    """Images and classes of a data set of mmpretrain; all else is as in `ImageDataset`.

    Args:
        domain: Name that every sample carries into the metric.
        dataset: Name of mmpretrain's class, such as ``Caltech101`` or ``ImageNet``.
        split: Its split, such as ``train``; None takes its default.
        options: Further arguments of its constructor.
        **kwargs: As `ImageDataset`.

    Raises:
        UserError: As `ImageDataset`, or if mmpretrain has no such data set, it has no such split,
            its files are missing or damaged, or an image has several classes.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets import MMPretrainImages
        >>> for name in ('images/apple_pie/1.jpg', 'meta/train.txt'):
        ...     Path('food', name).parent.mkdir(parents=True)
        >>> _ = Path('food/meta/train.txt').write_text('apple_pie/1')
        >>> food = MMPretrainImages('food', dataset='Food101', split='train', data_root='food')
        >>> food.get_data_info(0)['img_path'], food.classes[food.labels()[0]]
        ('food/images/apple_pie/1.jpg', 'apple_pie')
    """

    def __init__(
        self,
        domain: str,
        *,
        dataset: str,
        split: str | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.named, self.split, self.options = dataset, split, dict(options or {})
        self._kind = _class_of(dataset, domain)
        self._inner: Any = None
        super().__init__(domain, **kwargs)

    def class_names(self) -> tuple[str, ...]:
        """Returns mmpretrain's names of the classes."""
        names = _NAMES.get(self.named) or self._kind.METAINFO.get('classes')
        names = names or self._built().metainfo.get('classes')
        return tuple(names) if names else super().class_names()

    def images(self) -> list[LabelledImage]:
        """Returns the images in mmpretrain's order."""
        infos = [self._built().get_data_info(i) for i in range(len(self._built()))]
        return [self._image(info) for info in infos]

    def _image(self, info: Mapping[str, Any]) -> LabelledImage:
        path, label = str(info['img_path']), info.get('gt_label')
        try:
            label = int(label)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise UserError(
                f'domain {self.domain!r}: {self.named} gives {path!r} the label {label!r}: '
                'expected one class index; take a data set with one class for an image'
            ) from None
        if not 0 <= label < len(self.classes):
            raise UserError(
                f'domain {self.domain!r}: {self.named} gives {path!r} the class {label}: expected '
                f'0 to {len(self.classes) - 1}, the classes that have names; correct classes'
            )
        return LabelledImage(path, os.path.relpath(path, self.root or '.'), label)

    def _built(self) -> Any:
        if self._inner is None:
            taken = inspect.signature(self._kind.__init__).parameters
            given = {'data_root': self.root, 'pipeline': [], 'serialize_data': False}
            if self.split is not None:
                given['split'] = self.split
            if 'split' in given and 'split' not in taken:
                raise UserError(
                    f'domain {self.domain!r}: {self.named} takes no split; leave split out'
                )
            try:
                self._inner = self._kind(**given, **self.options)
            except (OSError, AssertionError, RuntimeError, KeyError, ValueError, TypeError) as e:
                reason = ' '.join(str(e).split()) or type(e).__name__
                raise UserError(
                    f'domain {self.domain!r}: {self.named} cannot be read in {self.root!r}: '
                    f'{reason}; {self.hint}'
                ) from e
        return self._inner


def _class_of(name: str, domain: str) -> Any:
    import mmpretrain.datasets  # noqa: F401  registers them

    cls = THEIRS.module_dict.get(name)
    if not isinstance(cls, type) or not issubclass(cls, mmpretrain.datasets.BaseDataset):
        known = [
            key
            for key, one in THEIRS.module_dict.items()
            if isinstance(one, type) and issubclass(one, mmpretrain.datasets.BaseDataset)
        ]
        raise UserError(
            f'domain {domain!r}: dataset={name!r} is no data set of mmpretrain with a class for '
            f'each image; {near_misses(name, known)}'
        )
    return cls
