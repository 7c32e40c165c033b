"""Stanford Cars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.registry import DATASETS

from rein_seg.datasets.images.class_split import ClassSplitDataset, Listed
from rein_seg.errors import UserError

_ONE_FILE = 'cars_annos.mat'
_BASES = ('', 'stanford_cars')
# test annotations with labels are a file of their own, beside the devkit or in it
_SPLITS = (
    ('train', ('devkit/cars_train_annos.mat', 'car_devkit/devkit/cars_train_annos.mat')),
    ('test', ('cars_test_annos_withlabels.mat', 'devkit/cars_test_annos_withlabels.mat')),
)
_FIELDS = ('annotations', 'class_names')
_META = ('devkit/cars_meta.mat', 'car_devkit/devkit/cars_meta.mat')


@DATASETS.register_module()
class Cars196Dataset(ClassSplitDataset):
    """196 models of cars: 16 185 images, 8054 of the first 98 classes.

    ``data_root`` holds either cars_annos.mat and car_ims/, or, as torchvision has it (also in
    stanford_cars/), devkit/, cars_test_annos_withlabels.mat, cars_train/ and cars_test/.

    Args:
        domain: Name that every sample carries into the metric.
        part: As `ClassSplitDataset`; 98 classes each.
        split: train (8144 images) or test (8041), with all classes in both.
        **kwargs: As `ImageDataset`.

    Raises:
        UserError: As `ClassSplitDataset`.

    Source: Krause et al., 3dRR 2013.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from scipy.io import savemat
        >>> from rein_seg.datasets import Cars196Dataset
        >>> kind = [('relative_im_path', 'O'), ('class', 'O'), ('test', 'O')]
        >>> rows = np.array([('car_ims/1.jpg', 1, 0), ('car_ims/2.jpg', 2, 1)], dtype=kind)
        >>> Path('cars/car_ims').mkdir(parents=True)
        >>> names = np.array(['AM General Hummer', 'Acura RL'], dtype=object)
        >>> savemat('cars/cars_annos.mat', dict(annotations=rows, class_names=names))
        >>> for name in ('1.jpg', '2.jpg'):
        ...     Path('cars/car_ims', name).touch()
        >>> dataset = Cars196Dataset('cars', data_root='cars', split='test', part=None)
        >>> dataset.classes, dataset.labels().tolist()
        (('AM General Hummer', 'Acura RL'), [1])
    """

    first_classes = 98

    def read(self) -> tuple[str, list[str], list[Listed]]:
        """Returns folder, classes and images."""
        for base in _BASES:
            if Path(self.root, base, _ONE_FILE).is_file():
                return self._one_file(Path(self.root, base))
        root = self._first(_META)
        classes = self._mat(*root)['class_names']
        images: list[Listed] = []
        for split, files in _SPLITS:
            base, name = self._first(files)
            rows = self._mat(base, name)['annotations']
            folder = f'cars_{split}'
            if (root[0] / folder / folder).is_dir():  # as one archive has it
                folder = f'{folder}/{folder}'
            images += [
                Listed(f'{folder}/{row["fname"]}', int(row['class']) - 1, split) for row in rows
            ]
        return str(root[0]), [str(name) for name in classes], images

    def _one_file(self, root: Path) -> tuple[str, list[str], list[Listed]]:
        content = self._mat(root, _ONE_FILE)
        images = [
            Listed(
                str(row['relative_im_path']),
                int(row['class']) - 1,
                'test' if row['test'] else 'train',
            )
            for row in content['annotations']
        ]
        return str(root), [str(name) for name in content['class_names']], images

    def _first(self, files: tuple[str, ...]) -> tuple[Path, str]:
        """Returns folder and name of the first file that is there."""
        for name in files:
            for base in _BASES:
                if Path(self.root, base, name).is_file():
                    return Path(self.root, base), name
        return self.lacks(Path(self.root, files[0]))

    def _mat(self, root: Path, name: str) -> Mapping[str, Any]:
        from scipy.io import loadmat  # slow to import

        try:
            content = loadmat(root / name, squeeze_me=True)
            return {key: np.atleast_1d(content[key]) for key in _FIELDS if key in content}
        except (ValueError, TypeError, NotImplementedError, OSError) as error:
            raise UserError(
                f'domain {self.domain!r}: {str(root / name)!r} cannot be read ({error}): expected '
                f'a file of MATLAB 5; download it again; {self.hint}'
            ) from error
