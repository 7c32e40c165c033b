"""Archives of predictions for a test server."""

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

# a fixed date: the same predictions make the same archive
_DATE = (1980, 1, 1, 0, 0, 0)


@METRICS.register_module()
class SubmissionWriter(BaseMetric):
    """Writes the predictions as PNG files of class indexes, and a zip file for each domain.

    It computes no score. A zip holds the PNG files under the names of their images, without
    folders. With several processes, all must share the file system of ``folder``.

    Args:
        folder: For ``DOMAIN/NAME.png`` and ``DOMAIN.zip``.
        **kwargs: As mmengine's `BaseMetric`.

    Attributes:
        archives: Domain -> path of its zip, after `compute_metrics` (main process).

    Raises:
        UserError: If two images of a domain have the same name.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation import SubmissionWriter
        >>> writer = SubmissionWriter('submission')
        >>> predicted = dict(data=torch.zeros(1, 4, 4, dtype=torch.long))
        >>> sample = dict(domain='acdc', img_path='images/fog_1.png', pred_sem_seg=predicted)
        >>> writer.process(None, [sample])
        >>> [str(path) for path in writer.folder.rglob('*.png')]
        ['submission/acdc/fog_1.png']
    """

    def __init__(self, folder: str, **kwargs: Any) -> None:
        super().__init__(prefix='images', **kwargs)
        self.folder = Path(folder)
        self.archives: dict[str, Path] = {}
        self._written: dict[str, str] = {}

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Writes the predictions of a batch, in the size of the image files."""
        for sample in data_samples:
            pred = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy().astype(np.uint8)
            image = Path(sample['img_path'])
            path = self.folder / sample['domain'] / f'{image.stem}.png'
            _check_alone(self._written.setdefault(str(path), str(image)), str(image))
            write_png(path, pred)
            self.results.append((sample['domain'], str(path), str(image)))

    def compute_metrics(self, results: list[tuple[str, str, str]]) -> dict[str, float]:
        """Writes the zip files and returns the number of images of each domain."""
        images: dict[str, dict[str, str]] = {}
        for domain, path, image in results:
            # of all ranks
            _check_alone(images.setdefault(domain, {}).setdefault(path, image), image)
        for domain, paths in images.items():
            self.archives[domain] = _pack(self.folder / f'{domain}.zip', sorted(paths))
            print_log(f'wrote {self.archives[domain]}: {len(paths)} images', logger='current')
        return {domain: len(paths) for domain, paths in images.items()}


def _check_alone(first: str, image: str) -> None:
    if first != image:
        raise UserError(
            f'{first!r} and {image!r} have the same name, and a submission has no folders: '
            'expected one image of a name; rename one of them'
        )


def _pack(path: Path, files: Sequence[str]) -> Path:
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, 'w') as archive:
        for file in files:  # stored: PNG is compressed
            archive.writestr(zipfile.ZipInfo(Path(file).name, _DATE), Path(file).read_bytes())
    return path
