"""Regions of the classes of a segmentation data set, as a data set of whole images.

N labels, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.images.dataset import ImageDataset, LabelledImage
from rein_seg.datasets.sampling.class_counts import class_counts
from rein_seg.datasets.unseen import class_indexes, seen_classes
from rein_seg.errors import UserError
from rein_seg.rules import Count


@DATASETS.register_module()
class RegionDataset(ImageDataset):
    """One sample for each image and each class that its label has, unseen classes left out.

    The pipeline gets image and label paths and ``region_class``, an index of the source's classes:
    `LoadLabels` and `CropRegion` make the picture of the class. ``gt_label`` counts the seen
    classes alone.

    Args:
        domain: Name that every sample carries into the metric.
        source: Config of the segmentation data set, a `DomainDataset`; ``data_root`` is filled in.
        unseen: Names or indexes of its classes that training never labels.
        min_pixels: Pixels of a class that a label must have for a sample.
        **kwargs: As `ImageDataset`; ``shots`` counts samples of a class.

    Raises:
        UserError: As `ImageDataset`, or if the source is no segmentation data set or has no
            labels, or an unseen class is none of its classes.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.3.

    Example:
        >>> from rein_seg.datasets import RegionDataset
        >>> source = dict(
        ...     type='BlobsDataset', domain='dark', split='val', count=3, size=(32, 32))
        >>> dataset = RegionDataset('dark', source=source, data_root='cache')
        >>> dataset.classes, dataset.labels().tolist()
        (('background', 'blob'), [0, 1, 0, 1, 0, 1])
        >>> dataset.get_data_info(1)['region_class']
        1
    """

    def __init__(
        self,
        domain: str,
        *,
        source: Mapping[str, Any],
        unseen: Sequence[str | int] = (),
        min_pixels: Count = 1,
        **kwargs: Any,
    ) -> None:
        self.source_cfg, self.unseen, self.min_pixels = dict(source), tuple(unseen), min_pixels
        self._source: DomainDataset | None = None
        self._places: dict[str, tuple[int, int]] = {}
        super().__init__(domain, **kwargs)

    @property
    def source(self) -> DomainDataset:
        """The segmentation data set."""
        if self._source is None:
            cls = DATASETS.get(str(self.source_cfg.get('type')))
            if not (isinstance(cls, type) and issubclass(cls, DomainDataset)):
                raise UserError(
                    f'domain {self.domain!r}: source={self.source_cfg.get("type")!r} is no '
                    'segmentation data set: expected a DomainDataset, such as VOC20Dataset; '
                    'correct the type'
                )
            root = {'data_root': self.root} if self.root else {}
            self._source = DATASETS.build({**root, **self.source_cfg})
        return self._source

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the seen classes of the source."""
        names = self._names_of_source()
        return tuple(names[k] for k in self._seen(names))

    def _names_of_source(self) -> tuple[str, ...]:
        own = (self.source_cfg.get('metainfo') or {}).get('classes')
        cls = DATASETS.get(str(self.source_cfg.get('type')))
        known = own or getattr(cls, 'METAINFO', {}).get('classes')
        return tuple(known or self.source.metainfo['classes'])

    def _seen(self, names: Sequence[str]) -> tuple[int, ...]:
        hidden = class_indexes(self.unseen, names, 'unseen') if self.unseen else ()
        return seen_classes(hidden, len(names))

    def lies_there(self) -> bool:
        """Says no: the files are its source's, which is a data set of its own."""
        return False

    def images(self) -> list[LabelledImage]:
        """Returns a sample for each label and seen class, in the order of the labels."""
        source, root = self.source, self.source.data_root or '.'
        names = source.metainfo['classes']
        seen, counts = self._seen(names), class_counts(source)
        found = []
        for index, rank in np.argwhere(counts[:, seen] >= self.min_pixels).tolist():
            path = source.get_data_info(index)['img_path']
            name = f'{os.path.relpath(path, root)} {names[seen[rank]]}'
            self._places[name] = index, seen[rank]
            found.append(LabelledImage(path, name, rank))
        return found

    def get_data_info(self, idx: int) -> dict:
        """Returns the fields of the source's sample, with ``region_class`` and ``gt_label``."""
        own = super().get_data_info(idx)
        index, region_class = self._places[own['name']]
        info = {**own, **self.source.get_data_info(index), 'domain': self.domain}
        return {**info, 'region_class': region_class}
