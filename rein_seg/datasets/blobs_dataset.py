"""Blobs as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.scenes.blobs import ensure_cached


@DATASETS.register_module()
class BlobsDataset(DrawnDataset):
    """The embedded binary benchmark: lesions and animals that hide in their surroundings.

    Args:
        domain: tissue (the source), pale, dark, noisy or leafy.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        **kwargs: As `DrawnDataset`: split, count, seed.

    Example:
        >>> from rein_seg.datasets import BlobsDataset
        >>> dataset = BlobsDataset('leafy', split='val', count=2, size=(64, 64), data_root='cache')
        >>> [info['img_path'].split('/')[-1] for info in dataset]
        ['00000.png', '00001.png']
    """

    METAINFO = dict(classes=('background', 'blob'), palette=[[40, 40, 60], [240, 190, 60]])
    ensure_cached = staticmethod(ensure_cached)

    def __init__(
        self,
        domain: str,
        *,
        size: Sequence[int] = (128, 128),
        data_root: str = 'data/blobs',
        **kwargs: Any,
    ) -> None:
        super().__init__(domain, size=size, data_root=data_root, **kwargs)
