"""ADE20K: scenes of all kinds, 150 classes."""

from __future__ import annotations

from typing import Any

from mmseg.datasets import ADE20KDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset, images_of_split

_SOURCE = 'data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip'
_SPLITS = {'training': 20210, 'validation': 2000}  # images
# 0 is "other"; 1 to 150 are the classes
ADE20K_LABEL_IDS: dict[int, int] = {0: 255, **{raw: raw - 1 for raw in range(1, 151)}}


@DATASETS.register_module()
class ADEChallengeDataset(DomainDataset):
    """ADE20K as its scene parsing challenge of 2016 has it: ``images`` and ``annotations``.

    Args:
        domain: Name of the domain.
        split: ``training`` or ``validation``.
        **kwargs: As `DomainDataset`.

    Attributes:
        expected_images: Number of images in the split as downloaded; None for a part of it.

    Raises:
        UserError: If there is no such split.

    Source: Zhou et al., CVPR 2017. Names and colours of the classes are mmseg's.

    Example:
        >>> from rein_seg.datasets import ADEChallengeDataset
        >>> from rein_seg.datasets.ade20k import ADE20K_LABEL_IDS
        >>> classes = ADEChallengeDataset.METAINFO['classes']
        >>> len(classes), classes[ADE20K_LABEL_IDS[1]], ADE20K_LABEL_IDS[0]
        (150, 'wall', 255)
    """

    METAINFO = ADE20KDataset.METAINFO

    def __init__(self, domain: str, *, split: str, **kwargs: Any) -> None:
        self.expected_images = images_of_split(domain, split, _SPLITS, kwargs)
        folder = 'ADEChallengeData2016'
        prefix = dict(
            img_path=f'{folder}/images/{split}', seg_map_path=f'{folder}/annotations/{split}'
        )
        kwargs.setdefault(
            'hint',
            f'from {_SOURCE}; expected {folder}/images/{split}/*.jpg and '
            f'{folder}/annotations/{split}/*.png',
        )
        super().__init__(
            domain,
            data_prefix={**prefix, **(kwargs.pop('data_prefix', None) or {})},
            img_suffix='.jpg',
            seg_map_suffix='.png',
            label_map=ADE20K_LABEL_IDS,
            **kwargs,
        )
