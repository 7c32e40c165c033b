"""Predictions for a test server, packed as it takes them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from rein_seg.checkpoint import atomic_path, write_png
from rein_seg.errors import UserError

# the same predictions make the same archive
_DATE = (1980, 1, 1, 0, 0, 0)


@METRICS.register_module()
class SubmissionWriter(BaseMetric):
    """Writes each prediction as a png of class indexes, then one zip a domain; it scores nothing.

    A zip holds the pngs under the names of their images, and no folders. With several processes
    all must see ``folder``.

    Args:
        folder: Gets ``DOMAIN/NAME.png`` and ``DOMAIN.zip``.
        **kwargs: As mmengine's `BaseMetric`.

    Attributes:
        archives: Domain -> path of its zip, after `compute_metrics` (main process).

    Raises:
        UserError: If two images of a domain have one name.
    """

    def __init__(self, folder: str, **kwargs: Any) -> None:
        super().__init__(prefix='images', **kwargs)
        self.folder = Path(folder)
        self.archives: dict[str, Path] = {}

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Writes the predictions of one batch, at the size of the images' files."""
        for sample in data_samples:
            pred = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy().astype(np.uint8)
            image = Path(sample['img_path'])
            path = self.folder / sample['domain'] / f'{image.stem}.png'
            write_png(path, pred)
            self.results.append((sample['domain'], str(path), str(image)))

    def compute_metrics(self, results: list[tuple[str, str, str]]) -> dict[str, float]:
        """Packs each domain; returns its number of images."""
        images: dict[str, dict[str, str]] = {}
        for domain, path, image in results:
            known = images.setdefault(domain, {}).setdefault(path, image)
            if known != image:
                raise UserError(
                    f'{known!r} and {image!r} have one name, and a submission has no folders: '
                    'rename one'
                )
        for domain, paths in images.items():
            self.archives[domain] = _pack(self.folder / f'{domain}.zip', sorted(paths))
            print_log(f'wrote {self.archives[domain]}: {len(paths)} images', logger='current')
        return {domain: len(paths) for domain, paths in images.items()}


def _pack(path: Path, files: Sequence[str]) -> Path:
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, 'w') as archive:
        for file in files:  # png is deflated already
            archive.writestr(zipfile.ZipInfo(Path(file).name, _DATE), Path(file).read_bytes())
    return path
