"""A data set drawn by a program on first use, then read from disk like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import dist

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.progress import Meter


class DrawnDataset(DomainDataset):
    """Pictures of one domain and split, made by a generator.

    Args:
        domain: One of the generator's domains.
        split: train, val or test; no picture is in two splits.
        count: Number of pictures.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        seed: Seed of the generator.
        **kwargs: As `DomainDataset`.
    """

    # draws missing pictures: (root, domain, split, count, seed, size, progress) -> split's folder
    ensure_cached: Callable[..., Path]

    def __init__(
        self,
        domain: str,
        *,
        split: str,
        count: int,
        size: Sequence[int],
        data_root: str,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self._request = dict(domain=domain, split=split, count=count, seed=seed, size=tuple(size))
        super().__init__(domain, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Draws missing pictures, then lists the first ``count``."""
        folder = draw_first(type(self).ensure_cached, self.data_root, self._request)
        self.data_prefix = dict(
            img_path=str(folder / 'images'), seg_map_path=str(folder / 'labels')
        )
        return super().load_data_list()[: self._request['count']]


def draw_first(ensure: Callable[..., Path], root: str, request: Mapping[str, Any]) -> Path:
    """Draws missing pictures of a split, with a progress bar; returns the split's folder.

    Args:
        ensure: As ``ensure_cached`` of a `DrawnDataset`.
        root: Folder of the cache.
        request: Its further arguments: domain, split, count, seed, size.
    """
    # one process draws while the others wait; then all find every picture on disk
    if dist.is_main_process():
        folder = _draw(ensure, root, request)
    dist.barrier()
    return folder if dist.is_main_process() else _draw(ensure, root, request)


def _draw(ensure: Callable[..., Path], root: str, request: Mapping[str, Any]) -> Path:
    with Meter(what=f'draw {request["domain"]}/{request["split"]}', unit='pictures') as meter:

        def progress(done: int, total: int) -> None:
            meter.total = total
            meter.advance(done - meter.done)

        return ensure(root, **request, progress=progress)
