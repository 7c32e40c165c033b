"""Fields as a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.scenes.fields import BANDS, CLASSES, ensure_cached

_PALETTE = [
    [160, 110, 70], [150, 200, 70], [30, 90, 40], [40, 90, 190], [60, 220, 150], [110, 110, 115],
    [200, 60, 60],
]  # fmt: skip


@DATASETS.register_module()
class MiniBandsDataset(DrawnDataset):
    """The embedded benchmark of five bands: red, green, blue, near infrared and height.

    Args:
        domain: summer (the source), autumn, drought, haze or dusk.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        bands: As `DomainDataset`; the names are those of the drawn bands by default.
        **kwargs: As `DrawnDataset`: split, count, seed.

    Example:
        >>> from rein_seg.datasets import MiniBandsDataset
        >>> dataset = MiniBandsDataset(
        ...     'autumn', split='val', count=1, size=(64, 64), data_root='cache',
        ...     pipeline=[dict(type='LoadDomainImage')],
        ... )
        >>> dataset[0]['img'].shape, len(dataset.metainfo['classes'])
        ((64, 64, 5), 7)
    """

    METAINFO = dict(classes=CLASSES, palette=_PALETTE)
    ensure_cached = staticmethod(ensure_cached)

    def __init__(
        self,
        domain: str,
        *,
        size: Sequence[int] = (128, 128),
        data_root: str = 'data/minibands',
        bands: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs = {'img_suffix': '.tif', 'bands': bands or {'names': BANDS}, **kwargs}
        super().__init__(domain, size=size, data_root=data_root, **kwargs)
