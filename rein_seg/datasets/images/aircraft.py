"""FGVC-Aircraft."""

from __future__ import annotations

from mmseg.registry import DATASETS

from rein_seg.datasets.images.class_split import ClassSplitDataset, Listed
from rein_seg.errors import UserError, near_misses


@DATASETS.register_module()
class AircraftDataset(ClassSplitDataset):
    r"""100 variants of aircraft: 10 000 images, 5000 of the first 50 classes.

    ``data_root`` is fgvc-aircraft-2013b, or the folder above it, with data/variants.txt,
    data/images_variant_train.txt, ..._val.txt, ..._test.txt and data/images/.

    Args:
        domain: Name that every sample carries into the metric.
        part: As `ClassSplitDataset`; 50 classes each, in the order of variants.txt.
        split: train (3334 images), val (3333) or test (3333), with all classes in each.
        **kwargs: As `ImageDataset`.

    Raises:
        UserError: As `ClassSplitDataset`.

    Source: Maji et al., arXiv 1306.5151.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets import AircraftDataset
        >>> lists = {'variants.txt': '707-320\nA300B4\n', 'images_variant_train.txt':
        ...     '0000001 707-320\n', 'images_variant_val.txt': '', 'images_variant_test.txt':
        ...     '0000002 A300B4\n', 'images/0000001.jpg': '', 'images/0000002.jpg': ''}
        >>> for name, text in lists.items():
        ...     Path('fgvc/data', name).parent.mkdir(parents=True, exist_ok=True)
        ...     _ = Path('fgvc/data', name).write_text(text)
        >>> dataset = AircraftDataset('aircraft', data_root='fgvc')
        >>> dataset.classes, dataset.labels().tolist()
        (('707-320', 'A300B4'), [0, 1])
    """

    first_classes = 50
    splits = ('train', 'val', 'test')

    def read(self) -> tuple[str, list[str], list[Listed]]:
        """Returns folder, classes and images."""
        root = self.locate('variants.txt', ('data', 'fgvc-aircraft-2013b/data', ''))
        classes = self.rows(root / 'variants.txt')
        index = {name: k for k, name in enumerate(classes)}
        images = []
        for split in self.splits:
            name = f'images_variant_{split}.txt'
            for line in self.rows(root / name):
                image, _, variant = line.partition(' ')
                if variant not in index:
                    raise UserError(
                        f'domain {self.domain!r}: {name} gives image {image} the variant '
                        f'{variant!r}, which variants.txt lacks; {near_misses(variant, index)}; '
                        'unpack the data again'
                    )
                images.append(Listed(f'images/{image}.jpg', index[variant], split))
        return str(root), classes, images
