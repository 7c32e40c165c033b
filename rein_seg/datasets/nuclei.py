"""Nuclei of the 2018 Data Science Bowl: a folder for each image, a mask file for each nucleus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.datasets.files.faults import NO_LABEL, refuse
from rein_seg.datasets.files.label_files import BinaryMask, read_label
from rein_seg.datasets.files.listing import PREFIX, list_files
from rein_seg.datasets.files.pairing import Pair, suffixes
from rein_seg.datasets.folder_dataset import BinaryFolderDataset
from rein_seg.errors import UserError

_IMAGES, _MASKS = 'images', 'masks'


@dataclass(frozen=True)
class MergedMasks:
    """Reads the union of all mask files in the folder of a mask.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets.files.label_files import read_label
        >>> from rein_seg.datasets.nuclei import MergedMasks
        >>> Path('masks').mkdir()
        >>> for name, row in (('a', [255, 0, 0]), ('b', [0, 0, 255])):
        ...     Image.fromarray(np.uint8([row])).save(f'masks/{name}.png')
        >>> read_label('masks/a.png', MergedMasks())
        array([[1, 0, 1]], dtype=uint8)
    """

    hint = 'expected grey pictures of 0 and 255'

    def __call__(self, image: Image.Image, path: str) -> np.ndarray:
        """Returns (H, W) ids 0 and 1.

        Raises:
            UserError: If two masks differ in size, or as `BinaryMask`.
        """
        read = BinaryMask(threshold=128)
        merged = read(image, path)
        folder = path.removeprefix(PREFIX).rpartition('/')[0]  # on disk, or in a zip
        for other in sorted(list_files(folder).values()):
            if other == path or not other.lower().endswith('.png'):
                continue
            mask = read_label(other, read)
            if mask.shape != merged.shape:
                raise UserError(
                    f'masks {path!r} and {other!r} of one image are {merged.shape} and '
                    f'{mask.shape} (height, width): expected one size; unpack the data again, or '
                    'leave the image out with skip'
                )
            merged = merged | mask
        return merged


@DATASETS.register_module()
class NucleiDataset(BinaryFolderDataset):
    """The 2018 Data Science Bowl as downloaded: ``ID/images/ID.png`` and ``ID/masks/*.png``.

    A label is the union of the masks of all nuclei.

    Args:
        domain: Name that every sample carries into the metric.
        data_prefix: ``img_path``, the folder of all folders, or its zip.
        **kwargs: As `BinaryFolderDataset`: part, rule, skip, ...

    Raises:
        UserError: As `BinaryFolderDataset`, or if an image has no masks.

    Source: Caicedo et al., Nature Methods 2019.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> from rein_seg.datasets import NucleiDataset
        >>> for name, shape in (('images/ab', (4, 4, 3)), ('masks/1', (4, 4)), ('masks/2', (4, 4))):
        ...     Path('stage1_train/ab', name).parent.mkdir(parents=True, exist_ok=True)
        ...     Image.fromarray(np.full(shape, 255, np.uint8)).save(f'stage1_train/ab/{name}.png')
        >>> dataset = NucleiDataset('dsb', pipeline=[dict(type='LoadLabels')])
        >>> len(dataset), dataset[0]['gt_seg_map'].max()
        (1, np.uint8(1))
    """

    METAINFO = dict(classes=('background', 'nucleus'), palette=[[0, 0, 0], [120, 60, 200]])

    def __init__(
        self, domain: str, *, data_prefix: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        folder = dict(data_prefix or {}).get('img_path', 'stage1_train')
        kwargs.setdefault(
            'hint',
            'stage1_train of kaggle.com/c/data-science-bowl-2018, with ID/images/ID.png and '
            'ID/masks/*.png',
        )
        super().__init__(domain, data_prefix=dict(img_path=folder, seg_map_path=folder), **kwargs)
        self.decode = MergedMasks()

    def pairs(self) -> list[Pair]:
        """Returns each image and its first mask, in the order of the images' folders."""
        place = self._folder('img_path', 'images')
        endings = suffixes(self.img_suffix)
        files: dict[str, dict[str, list[str]]] = {}
        for name, path in sorted(list_files(place, self.left_out).items()):
            *_, folder, kind, _file = ('', '', *PurePosixPath(name).parts)
            if kind in (_IMAGES, _MASKS) and name.lower().endswith(endings):
                files.setdefault(folder, {_IMAGES: [], _MASKS: []})[kind].append(path)
            else:
                self.left_out[Path(name).suffix.lower() or 'without a suffix'] += 1
        images = {folder: found for folder, found in files.items() if found[_IMAGES]}
        if not images:
            raise UserError(f'no folder in {place!r} has {_IMAGES}/*.png; {self.hint}')
        alone = [found[_IMAGES][0] for found in images.values() if not found[_MASKS]]
        if alone:
            refuse(
                NO_LABEL,
                alone,
                f'{len(alone)} of {len(images)} images have no masks; first: {alone[0]!r} needs '
                f'{_MASKS}/*.png beside its folder; stage1_test has none',
            )
        return [(found[_IMAGES][0], found[_MASKS][0]) for found in images.values() if found[_MASKS]]
