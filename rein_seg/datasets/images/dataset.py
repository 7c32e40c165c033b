"""The base of data sets of whole images: one domain, a class for each image."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from rein_seg.datasets.domain_dataset import our_step
from rein_seg.datasets.images.few_shot import few_shots
from rein_seg.datasets.transforms.corruptions import check_corruption
from rein_seg.errors import UserError


class LabelledImage(NamedTuple):
    """An image with its class.

    Attributes:
        path: Of the file, as `read_image` takes it.
        name: Its path below the folder of the data set: the same on every machine.
        label: Class index.
    """

    path: str
    name: str
    label: int


class ImageDataset(BaseDataset):
    """Images of one domain, with a class each.

    A subclass lists them (`images`) and names the classes (``metainfo``, or `class_names`).

    Args:
        domain: Name that every sample carries into the metric.
        data_root: Folder of the data. If a config leaves it out, the top-level ``data_root`` is
            filled in.
        metainfo: With ``classes``, in the order of the indexes.
        shots: Images of each class to take; None takes all.
        shot_seed: Chooses them; see `few_shots`.
        max_value: White, in images of more than 8 bits; see `DomainDataset`.
        orientation: How EXIF data turn images; see `DomainDataset`.
        corruption: (name, severity) of a corruption; see `DomainDataset`.
        cache_dir: Folder for decoded copies of images; see `DomainDataset`.
        cache_raw: Whether copies are uncompressed.
        hint: Where to get the data, for error messages.
        **kwargs: As mmengine's `BaseDataset` (pipeline, test_mode, indices, ...). A pipeline's
            ``LoadImageFromFile`` becomes ``LoadDomainImage``.

    Attributes:
        left_out: Reason -> number of files of the listing that are no samples.

    Raises:
        UserError: If there is no image, the classes have no names or two share a name, or a class
            has fewer images than ``shots``.

    Example:
        >>> from rein_seg.datasets import ImageDataset
        >>> from rein_seg.datasets.images.dataset import LabelledImage
        >>> class Two(ImageDataset):
        ...     METAINFO = dict(classes=('car', 'van'))
        ...     def images(self):
        ...         return [LabelledImage('own/a.jpg', 'a.jpg', 1)]
        >>> info = Two('own').get_data_info(0)
        >>> info['domain'], info['gt_label'], info['img_path']
        ('own', 1, 'own/a.jpg')
    """

    task = 'images'
    last_step = 'PackImageInputs'  # of a pipeline
    labelled = True
    own_classes = False  # whether it has names of its own, whatever the training's are

    def __init__(
        self,
        domain: str,
        *,
        data_root: str | None = None,
        metainfo: Mapping[str, Any] | None = None,
        shots: int | None = None,
        shot_seed: int = 0,
        max_value: float | None = None,
        orientation: str | None = None,
        corruption: Sequence | None = None,
        cache_dir: str | None = None,
        cache_raw: bool = False,
        hint: str = 'layout: docs/reference/datasets.md',
        **kwargs: Any,
    ) -> None:
        self.domain, self.hint = domain, hint
        self.shots, self.shot_seed = shots, shot_seed
        self.left_out: Counter[str] = Counter()
        self._about = dict(
            domain=domain,
            max_value=max_value,
            orientation=orientation,
            corruption=None if corruption is None else check_corruption(corruption),
            cache_dir=cache_dir,
            cache_raw=cache_raw,
        )
        steps = [our_step(step) for step in kwargs.pop('pipeline', ())]
        # the folder reaches `images` as it was given; mmengine's would join it twice
        self.root = data_root or ''
        super().__init__(metainfo=dict(metainfo or {}), pipeline=steps, **kwargs)

    @abstractmethod
    def images(self) -> list[LabelledImage]:
        """Returns every image of the data set, in an order that no machine changes."""

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes, where ``metainfo`` has none."""
        raise UserError(
            f'domain {self.domain!r}: its classes have no names: expected '
            "metainfo=dict(classes=('car', ...)), in the order of the indexes; give them"
        )

    @classmethod
    def classes_of(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the names of the classes of a data set's config, reading folders or lists.

        Args:
            options: Arguments of the constructor.
        """
        given = {**options, 'pipeline': (), 'lazy_init': True}
        given.pop('type', None)
        dataset = cls(**given)
        return tuple(dataset._metainfo.get('classes') or dataset.class_names())

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self._metainfo['classes'])

    def lies_there(self) -> bool:
        """Tells whether the folder holds the data in their layout."""
        try:
            return bool(self.root) and bool(self.load_data_list())
        except (UserError, OSError):
            return False

    def load_data_list(self) -> list[dict]:
        """Returns path and class of every sample."""
        self.left_out.clear()
        if not self._metainfo.get('classes'):
            self._metainfo['classes'] = self.class_names()
        check_class_names(self.classes, f'domain {self.domain!r}')
        found = self.images()
        if not found:
            raise UserError(f'domain {self.domain!r} has no image; {self.hint}')
        if self.shots is not None:
            found = self._few(found)
        return [dict(img_path=one.path, name=one.name, gt_label=one.label) for one in found]

    def _few(self, found: list[LabelledImage]) -> list[LabelledImage]:
        names, labels = [one.name for one in found], [one.label for one in found]
        where = f'domain {self.domain!r}'
        options = dict(shots=self.shots, seed=self.shot_seed, where=where)
        kept = few_shots(names, labels, self.classes, **options)
        self.left_out[f'images beside {self.shots} shots'] += len(found) - len(kept)
        return [found[i] for i in kept]

    def get_data_info(self, idx: int) -> dict:
        """Returns path and class of a sample, with its domain and how to read it."""
        return {**super().get_data_info(idx), **self._about}

    def labels(self) -> np.ndarray:
        """Returns (N,) int64: the class of every sample."""
        infos = (super(ImageDataset, self).get_data_info(i) for i in range(len(self)))
        return np.array([info['gt_label'] for info in infos])


def check_class_names(classes: Any, where: str) -> None:
    """Checks the names of classes.

    Raises:
        UserError: If there are not two or more, each with a name of its own.

    Example:
        >>> from rein_seg.datasets.images.dataset import check_class_names
        >>> check_class_names(['car'], 'own')
        Traceback (most recent call last):
        rein_seg.errors.UserError: own: classes=['car']: expected names of two classes or more...
    """
    names = list(classes) if isinstance(classes, (list, tuple)) else None
    if names is None or len(names) < 2 or not all(isinstance(n, str) and n for n in names):
        raise UserError(
            f'{where}: classes={names or classes!r}: expected names of two classes or more, in the '
            'order of the indexes; name them'
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f'{where}: classes has {twice[0]!r} twice: expected a name for each class; rename one'
        )
