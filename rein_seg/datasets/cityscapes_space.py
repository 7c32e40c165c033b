"""The 19 Cityscapes classes, the label space of most benchmarks here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from rein_seg.datasets.domain_dataset import DomainDataset
from rein_seg.datasets.files.label_files import LastChannel
from rein_seg.datasets.files.layouts import Layout, find_layout
from rein_seg.datasets.files.pairing import Pair
from rein_seg.datasets.mapillary import MAPILLARY_CLASSES, MAPILLARY_V2_CLASSES
from rein_seg.errors import UserError, near_misses

_TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

# Raw ids of Cityscapes (labelIds) and GTAV -> class index; the void ids and 255 are ignored.
# Both data sets number their classes alike, so the map serves both.
CITYSCAPES_LABEL_IDS: dict[int, int] = {
    **dict.fromkeys((*range(35), 255), 255),
    **{raw: index for index, raw in enumerate(_TRAINED)},
}

# SYNTHIA's ids 0 to 22; it has no terrain, truck and train
SYNTHIA_LABEL_IDS: dict[int, int] = {
    **dict.fromkeys(range(23), 255),
    **{3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7},
    **{6: 8, 1: 10, 10: 11, 17: 12, 8: 13, 19: 15, 12: 17, 11: 18},
}

# UrbanSyn stores class indexes, with 19 for void.
URBANSYN_LABEL_IDS: dict[int, int] = {**{i: i for i in range(19)}, 19: 255, 255: 255}

CITYSCAPES_CLASSES: tuple[str, ...] = CityscapesDataset.METAINFO['classes']


def _by_name(classes: tuple[tuple[str, str | None], ...]) -> dict[int, int]:
    return {
        raw: 255 if name is None else CITYSCAPES_CLASSES.index(name)
        for raw, (_, name) in enumerate(classes)
    }


MAPILLARY_LABEL_IDS = _by_name(MAPILLARY_CLASSES)
MAPILLARY_V2_LABEL_IDS = _by_name(MAPILLARY_V2_CLASSES)

LABEL_IDS: dict[str, dict[int, int] | None] = {
    'train': None,
    'cityscapes': CITYSCAPES_LABEL_IDS,
    'mapillary': MAPILLARY_LABEL_IDS,
    'mapillary_v2': MAPILLARY_V2_LABEL_IDS,
    'synthia': SYNTHIA_LABEL_IDS,
    'urbansyn': URBANSYN_LABEL_IDS,
}

# Models trained on SYNTHIA alone cannot learn the other classes: papers average over these 16.
SYNTHIA_CLASSES = tuple(
    CITYSCAPES_CLASSES[index] for index in sorted({*SYNTHIA_LABEL_IDS.values()} - {255})
)


@DATASETS.register_module()
class CityscapesSpaceDataset(DomainDataset):
    """A `DomainDataset` in the 19 Cityscapes classes.

    Args:
        domain: Name of the domain.
        layout: Name of a data set whose folders, file names and raw ids are known (`LAYOUTS`):
            ``gtav``, ``cityscapes``, ``bdd100k``, ... Other arguments override parts of it.
        split: Split of the layout, such as ``train`` or, for ACDC, ``night/val``.
        label_ids: Meaning of the ids in label files: ``cityscapes`` (raw ids 0 to 34, as Cityscapes
            and GTAV come), ``mapillary`` (raw ids 0 to 65 of Mapillary Vistas v1.2),
            ``mapillary_v2`` (0 to 123), ``synthia``, ``urbansyn`` or ``train`` (class indexes and
            255, as BDD100K and ACDC come). Defaults to the ids in the layout's downloads; without a
            layout, to train.
        data_prefix: As `DomainDataset`; the layout fills in missing keys.
        **kwargs: As `DomainDataset`; a ``label_map`` stands in place of label_ids.

    Attributes:
        layout: The `Layout`, None without.
        split: As given.
        label_ids: Meaning of the ids: as given, or of the layout.
        expected_images: Number of images in the split as downloaded, None if not known.

    Raises:
        UserError: If layout, split or label_ids is unknown, or the layout's ids do not map to these
            classes.

    Example:
        >>> from rein_seg.datasets.cityscapes_space import LABEL_IDS, SYNTHIA_CLASSES
        >>> LABEL_IDS['cityscapes'][7], LABEL_IDS['cityscapes'][26]  # road and car
        (0, 13)
        >>> LABEL_IDS['synthia'][3], LABEL_IDS['synthia'][0]  # road, and void
        (0, 255)
        >>> len(SYNTHIA_CLASSES)
        16
    """

    METAINFO = CityscapesDataset.METAINFO
    # label_ids -> map to the classes; None for class indexes
    label_maps = LABEL_IDS
    own_ids = 'train'  # label_ids of class indexes

    def __init__(
        self,
        domain: str,
        *,
        layout: str | None = None,
        split: str | None = None,
        label_ids: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        maps = self.label_maps
        if label_ids is not None and label_ids not in maps:
            raise UserError(
                f'domain {domain!r}: label_ids={label_ids!r}; {near_misses(label_ids, maps)}'
            )
        if layout is None and split is not None:
            raise UserError(f'domain {domain!r}: split={split!r} has no effect without a layout')
        self.layout, self.split, self.expected_images, known = None, split, None, {}
        if layout is not None:
            self.layout, known = _known(domain, layout, split, label_ids, kwargs)
            label_ids = label_ids or self._ids_of_layout(domain)
            if not (kwargs.get('ann_file') or kwargs.get('skip')):
                self.expected_images = self.layout.splits[split or '']
            # with an explicit folder, a second place would hide its absence
            for key in data_prefix or {}:
                known['elsewhere'].pop(key)
            data_prefix = {**known.pop('data_prefix'), **(data_prefix or {})}
        if label_ids == 'synthia':
            self.decode = LastChannel()
        self.label_ids = label_ids or self.own_ids
        ids = maps[self.label_ids]
        if 'label_map' in kwargs:  # ids that have no word
            self.label_ids = None
        super().__init__(domain, data_prefix=data_prefix, **{'label_map': ids, **known, **kwargs})

    def get_data_info(self, idx: int) -> dict:
        """Returns a sample's fields, with the word for its ids and how to write every other."""
        words = {name: self._word(name) for name in self.label_maps}
        return {
            **super().get_data_info(idx),
            'label_ids': self.label_ids,
            'label_ids_words': words,
        }

    def _word(self, name: str) -> str:
        """Returns the arguments that read the same files with other ids."""
        word, known = f'label_ids={name!r}', self.layout.label_files if self.layout else {}
        folders = self.layout.label_folders if self.layout else {}
        if name in folders or self.label_ids in folders:
            return word  # its labels lie in a folder of their own
        same = self.layout is None or known.get(name) == self.seg_map_suffix
        return word if same else f'{word}, seg_map_suffix={self.seg_map_suffix!r}'

    def _ids_of_layout(self, domain: str) -> str:
        """Returns the label ids of a layout's downloads."""
        name = next(iter(self.layout.label_files))
        if name not in self.label_maps:
            known = ', '.join(map(repr, self.label_maps))
            raise UserError(
                f'domain {domain!r}: labels of this layout have the ids of {name!r}, which '
                f'{type(self).__name__} cannot map: expected {known}; CamVidSpaceDataset reads '
                'them in 11 classes'
            )
        return name

    def take_part(self, pairs: list[Pair]) -> list[Pair]:
        """Returns the pairs of the split, where the download does not divide them by folder."""
        if self.layout is None or self.split not in self.layout.numbers:
            return pairs
        numbers = self.layout.numbers[self.split]
        return [pair for pair in pairs if _number(pair[0]) in numbers]


def _number(path: Path | str) -> int:
    """Returns the number that an image's name begins with, -1 without."""
    digits = re.match(r'\d+', Path(str(path)).name)
    return int(digits[0]) if digits else -1


def _known(
    domain: str, name: str, split: str | None, label_ids: str | None, given: Mapping[str, Any]
) -> tuple[Layout, dict[str, Any]]:
    """Returns a layout and the data set arguments that follow from it."""
    try:
        layout = find_layout(name)
        # an explicit suffix allows label ids whose file names the layout does not know
        return layout, layout.options(split, None if 'seg_map_suffix' in given else label_ids)
    except UserError as error:
        raise UserError(f'domain {domain!r}, layout {name!r}: {error}') from error
