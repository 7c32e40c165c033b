"""Caltech-UCSD Birds 200-2011."""

from __future__ import annotations

from pathlib import Path

from mmseg.registry import DATASETS

from rein_seg.datasets.images.class_split import ClassSplitDataset, Listed
from rein_seg.errors import UserError


@DATASETS.register_module()
class CUB200Dataset(ClassSplitDataset):
    r"""200 species of birds: 11 788 images, 5864 of the first 100 classes.

    ``data_root`` is CUB_200_2011, or the folder above it, with images.txt, image_class_labels.txt,
    train_test_split.txt, classes.txt and images/.

    Args:
        domain: Name that every sample carries into the metric.
        part: As `ClassSplitDataset`; 100 classes each.
        split: train (5994 images) or test (5794), with all classes in both.
        **kwargs: As `ImageDataset`.

    Raises:
        UserError: As `ClassSplitDataset`.

    Source: Wah et al., Caltech CNS-TR-2011-001.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets import CUB200Dataset
        >>> for name, text in {
        ...     'images.txt': '1 001.Auk/a.jpg\n2 002.Owl/b.jpg\n', 'classes.txt':
        ...     '1 001.Auk\n2 002.Owl\n', 'image_class_labels.txt': '1 1\n2 2\n',
        ...     'train_test_split.txt': '1 1\n2 0\n', 'images/001.Auk/a.jpg': '',
        ...     'images/002.Owl/b.jpg': ''}.items():
        ...     Path('birds', name).parent.mkdir(parents=True, exist_ok=True)
        ...     _ = Path('birds', name).write_text(text)
        >>> dataset = CUB200Dataset('cub', data_root='birds')
        >>> dataset.classes, dataset.labels().tolist()
        (('Auk', 'Owl'), [0, 1])
    """

    first_classes = 100

    def read(self) -> tuple[str, list[str], list[Listed]]:
        """Returns folder, classes and images."""
        root = self.locate('images.txt', ('', 'CUB_200_2011'))
        names = self._table(root / 'images.txt')
        labels = self._table(root / 'image_class_labels.txt')
        trains = self._table(root / 'train_test_split.txt')
        classes = self._table(root / 'classes.txt')
        unlabelled = [key for key in names if not (key in labels and key in trains)]
        if unlabelled:
            raise UserError(
                f'domain {self.domain!r}: image {unlabelled[0]} of images.txt is in no row of '
                'image_class_labels.txt or train_test_split.txt: expected a row for each image; '
                f'unpack the data again; {self.hint}'
            )
        images = [
            Listed(
                f'images/{name}',
                int(labels[key]) - 1,
                'train' if trains[key] == '1' else 'test',
            )
            for key, name in names.items()
        ]
        # 001.Black_footed_Albatross
        words = [name.partition('.')[2].replace('_', ' ') for name in classes.values()]
        return str(root), words, images

    def _table(self, path: Path) -> dict[str, str]:
        rows = [line.split(maxsplit=1) for line in self.rows(path)]
        return {row[0]: row[-1] for row in rows}
