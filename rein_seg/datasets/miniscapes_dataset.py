"""MiniScapes as a data set, of all its classes or of its roads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.scenes.streets import ensure_cached


@DATASETS.register_module()
class MiniScapesDataset(DrawnDataset):
    """The embedded benchmark: procedural street scenes in the 19 Cityscapes classes.

    Args:
        domain: clear (the source), overcast, night, fog, rain or snow.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        **kwargs: As `DrawnDataset`: split, count, seed.

    Example:
        >>> from rein_seg.datasets import MiniScapesDataset
        >>> dataset = MiniScapesDataset(
        ...     'fog', split='val', count=1, size=(64, 32), data_root='cache'
        ... )
        >>> dataset[0]['domain'], len(dataset.metainfo['classes'])
        ('fog', 19)
    """

    METAINFO = CityscapesDataset.METAINFO
    ensure_cached = staticmethod(ensure_cached)

    def __init__(
        self,
        domain: str,
        *,
        size: Sequence[int] = (256, 128),
        data_root: str = 'data/miniscapes',
        **kwargs: Any,
    ) -> None:
        super().__init__(domain, size=size, data_root=data_root, **kwargs)


@DATASETS.register_module()
class MiniRoadsDataset(MiniScapesDataset):
    """The scenes of `MiniScapesDataset`, labelled as road and background.

    Args:
        domain: As `MiniScapesDataset`.
        **kwargs: As `MiniScapesDataset`.

    Example:
        >>> from rein_seg.datasets import MiniRoadsDataset
        >>> dataset = MiniRoadsDataset(
        ...     'fog', split='val', count=1, size=(64, 32), data_root='cache'
        ... )
        >>> dataset.metainfo['classes']
        ('background', 'road')
    """

    METAINFO = dict(classes=('background', 'road'), palette=[[70, 70, 70], [128, 64, 128]])

    def __init__(self, domain: str, **kwargs: Any) -> None:
        kwargs.setdefault('label_map', {0: 1, **dict.fromkeys(range(1, 19), 0), 255: 255})
        super().__init__(domain, **kwargs)
