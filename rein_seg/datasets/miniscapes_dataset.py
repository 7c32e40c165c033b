"""MiniScapes as a data set: drawn on first use, then read from disk like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine import dist
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from rein_seg.datasets.cityscapes_space import CityscapesSpaceDataset
from rein_seg.datasets.miniscapes import ensure_cached


@DATASETS.register_module()
class MiniScapesDataset(CityscapesSpaceDataset):
    """The embedded benchmark: procedural street scenes in the 19 Cityscapes classes.

    Args:
        domain: clear (the source), overcast, night, fog, rain or snow.
        split: train, val or test; no scene is in two of them.
        count: Number of scenes.
        seed: Of the generator.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        **kwargs: As `DomainDataset`.
    """

    def __init__(
        self,
        domain: str,
        *,
        split: str,
        count: int,
        seed: int = 0,
        size: Sequence[int] = (256, 128),
        data_root: str = 'data/miniscapes',
        **kwargs,
    ) -> None:
        self._scenes = dict(domain=domain, split=split, count=count, seed=seed, size=tuple(size))
        super().__init__(domain, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Draws what is missing, then lists the first ``count`` scenes."""
        # one process draws, the others wait for it; then all find everything there
        if dist.is_main_process():
            folder = self._draw()
        dist.barrier()
        if not dist.is_main_process():
            folder = self._draw()
        self.data_prefix = dict(
            img_path=str(folder / 'images'), seg_map_path=str(folder / 'labels')
        )
        return super().load_data_list()[: self._scenes['count']]

    def _draw(self) -> Path:
        def progress(done: int, total: int) -> None:
            print_log(f'MiniScapes {name}: drew {done} of {total} scenes', logger='current')

        options = dict(self._scenes)
        domain, split, count = (options.pop(key) for key in ('domain', 'split', 'count'))
        name = f'{domain}/{split}'
        return ensure_cached(self.data_root, domain, split, count, progress=progress, **options)
