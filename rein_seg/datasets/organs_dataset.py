"""Organs as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.scenes.organs import CLASSES, SLICES, ensure_cached

_PALETTE = [
    [40, 40, 60], [180, 90, 60], [230, 200, 80], [120, 60, 160], [80, 170, 110], [220, 50, 60],
]  # fmt: skip


@DATASETS.register_module()
class OrgansDataset(DrawnDataset):
    """The embedded benchmark of volumes: five organs in slices of abdominal CT.

    A sample carries ``case``, the name of its volume, ``slice``, its place there, and ``slices``,
    the number of slices of the volume. A volume has 12 slices; the last has fewer if ``count`` is
    no multiple of 12.

    Args:
        domain: standard (the source), low_dose, native, wide or soft.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        **kwargs: As `DrawnDataset`: split, count (slices), seed.

    Example:
        >>> from rein_seg.datasets import OrgansDataset
        >>> dataset = OrgansDataset('native', split='val', count=14, size=(32, 32),
        ...                         data_root='cache')
        >>> info = dataset[13]
        >>> info['case'], info['slice'], info['slices']
        ('val 1', 1, 2)
    """

    METAINFO = dict(classes=CLASSES, palette=_PALETTE)
    ensure_cached = staticmethod(ensure_cached)

    def __init__(
        self,
        domain: str,
        *,
        size: Sequence[int] = (96, 96),
        data_root: str = 'data/organs',
        **kwargs: Any,
    ) -> None:
        super().__init__(domain, size=size, data_root=data_root, **kwargs)

    def get_data_info(self, idx: int) -> dict:
        """Returns the fields of a sample, with its place in its volume."""
        info = super().get_data_info(idx)
        volume, place = divmod(info['sample_idx'], SLICES)
        slices = min(SLICES, self._request['count'] - volume * SLICES)
        case = f'{self._request["split"]} {volume}'
        return {**info, 'case': case, 'slice': place, 'slices': slices}
