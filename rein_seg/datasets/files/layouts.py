"""How the driving data sets lie on disk as downloaded: folders, names, raw ids, counts, sources.

One row a data set. Facts marked unverified were written from memory, without a copy to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rein_seg.errors import UserError, near_misses


@dataclass(frozen=True)
class Layout:
    """A data set's files, seen from ``data_root``.

    Attributes:
        images: Folder of images; ``{split}`` stands for the split.
        labels: Folder of labels.
        label_files: label_ids of `CityscapesSpaceDataset` -> end of the label files' names; the
            first entry is the form of the download.
        splits: Split -> number of images, None if not known; '' if there are no splits.
        source: Where to get the data.
        img_suffix: End of images' names, or several.
        starts: Beginnings of the names of images and of labels, if they differ.
        elsewhere: Other (images, labels) folders, taken if the first are missing; zips as
            `list_files` takes them.
        numbers: Split -> numbers that the names of its images begin with, for a split that the
            download does not have as a folder.
        label_folders: label_ids -> folder of labels, for ids that lie beside the others.
        wrong_size: As `DomainDataset`.
        unverified: Facts of this row that were written from memory.

    Example:
        >>> from rein_seg.datasets.files.layouts import find_layout
        >>> options = find_layout('acdc').options('night/val', None)
        >>> options['data_prefix']['img_path'], options['seg_map_suffix']
        ('acdc/rgb_anon/night/val', '_gt_labelTrainIds.png')
    """

    images: str
    labels: str
    label_files: Mapping[str, str]
    splits: Mapping[str, int | None]
    source: str
    img_suffix: str | tuple[str, ...] = '.png'
    starts: tuple[str, str] = ('', '')
    elsewhere: tuple[tuple[str, str], ...] = ()
    numbers: Mapping[str, range] = field(default_factory=dict)
    label_folders: Mapping[str, str] = field(default_factory=dict)
    wrong_size: str = 'error'
    unverified: str = ''

    def options(self, split: str | None, label_ids: str | None) -> dict[str, Any]:
        """Returns the arguments of a `DomainDataset` for one split.

        Raises:
            UserError: If the split or the label ids are unknown.
        """
        split = split or ''
        if split not in self.splits:
            raise UserError(f'split={split!r}; {near_misses(split, self.splits)}')
        label_ids = label_ids or next(iter(self.label_files))
        if label_ids not in self.label_files:
            raise UserError(f'label_ids={label_ids!r}; {near_misses(label_ids, self.label_files)}')
        places = [(self.images, self.labels), *self.elsewhere]
        if label_ids in self.label_folders:
            places = [(images, self.label_folders[label_ids]) for images, _ in places]
        images, labels = (
            list(dict.fromkeys(_in_split(place[i], split) for place in places)) for i in (0, 1)
        )
        return {
            'data_prefix': dict(img_path=images[0], seg_map_path=labels[0]),
            'elsewhere': dict(img_path=images[1:], seg_map_path=labels[1:]),
            'img_suffix': self.img_suffix,
            'seg_map_suffix': self.label_files[label_ids],
            'starts': self.starts,
            'wrong_size': self.wrong_size,
            'hint': f'from {self.source}; {self.tree(split)}; docs/reference/datasets.md',
        }

    def tree(self, split: str | None = None) -> str:
        """Returns the expected folders and file names, for error messages."""
        suffix = next(iter(self.label_files.values()))
        images = self.img_suffix if isinstance(self.img_suffix, str) else self.img_suffix[0]
        folders = [self.images, self.labels]
        if split is not None:
            folders = [_in_split(folder, split) for folder in folders]
        return (
            f'expected {folders[0]}/**/{self.starts[0]}*{images} and '
            f'{folders[1]}/**/{self.starts[1]}*{suffix}'
        )


def _in_split(folder: str, split: str) -> str:
    """Returns the folder of a split; without a split the folder above all of them."""
    return folder.replace('{split}', split).rstrip('/')


_CITYSCAPES = 'cityscapes-dataset.com (leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip)'

LAYOUTS: dict[str, Layout] = {
    'gtav': Layout(
        images='gta/images',
        labels='gta/labels',
        elsewhere=(('gta/*_images.zip', 'gta/*_labels.zip'),),
        label_files={'cityscapes': '.png', 'train': '.png'},
        splits={'': 24966},
        source='download.visinf.tu-darmstadt.de/data/from_games (01_images.zip ... 10_labels.zip)',
        # published runs take all images, though a few labels have another size than their image
        wrong_size='resize',
        unverified='the folders inside the zips; which labels differ in size (15188 and 17705?)',
    ),
    'synthia': Layout(
        images='synthia/RGB',
        labels='synthia/GT/LABELS',
        elsewhere=(('synthia/RAND_CITYSCAPES/RGB', 'synthia/RAND_CITYSCAPES/GT/LABELS'),),
        label_files={'synthia': '.png', 'train': '_labelTrainIds.png'},
        splits={'': 9400},
        source='synthia-dataset.net (SYNTHIA-RAND-CITYSCAPES)',
        unverified='folders, count and the highest raw id (22)',
    ),
    'urbansyn': Layout(
        images='urbansyn/rgb',
        labels='urbansyn/ss',
        starts=('rgb_', 'ss_'),
        label_files={'urbansyn': '.png'},
        splits={'': 7539},
        source='urbansyn.org',
        unverified='folders, names and count',
    ),
    'cityscapes': Layout(
        images='cityscapes/leftImg8bit/{split}',
        labels='cityscapes/gtFine/{split}',
        elsewhere=(
            (
                'cityscapes/leftImg8bit_trainvaltest.zip/leftImg8bit/{split}',
                'cityscapes/gtFine_trainvaltest.zip/gtFine/{split}',
            ),
        ),
        img_suffix='_leftImg8bit.png',
        label_files={'cityscapes': '_gtFine_labelIds.png', 'train': '_gtFine_labelTrainIds.png'},
        splits={'train': 2975, 'val': 500},
        source=_CITYSCAPES,
        unverified='the count of train',
    ),
    'bdd100k': Layout(
        images='bdd100k/images/10k/{split}',
        labels='bdd100k/labels/sem_seg/masks/{split}',
        img_suffix='.jpg',
        label_files={'train': '.png'},
        splits={'train': 7000, 'val': 1000},
        source='bdd-data.berkeley.edu (10K images, segmentation)',
        unverified='the count of train',
    ),
    # images and labels of three real street data sets, in few and small files beside each other
    'camvid': Layout(
        images='camvid/images/{split}',
        labels='camvid/labels/{split}',
        img_suffix='.jpg',
        label_files={'camvid': '.png'},
        splits={'day_train': 153, 'day_val': 29, 'dusk_val': 25},
        source='mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid, in 11 classes as SegNet has it',
    ),
    # 000000_10.png and so on; the split is ours, since the benchmark publishes one set with labels
    'kitti': Layout(
        images='kitti/training/image_2',
        labels='kitti/training/semantic',
        elsewhere=(('kitti/images/{split}', 'kitti/labels/{split}'),),
        img_suffix=('.png', '.jpg'),
        label_files={'cityscapes': '.png', 'train': '.png', 'camvid': '.png'},
        label_folders={'camvid': 'kitti/labels_camvid11/{split}'},
        splits={'': 200, 'train': 150, 'val': 50},
        numbers={'train': range(150), 'val': range(150, 200)},
        source='cvlibs.net/datasets/kitti/eval_semseg.php (data_semantics.zip)',
    ),
    'bdd_taste': Layout(
        images='bdd_taste/images/{split}',
        labels='bdd_taste/labels/{split}',
        img_suffix='.jpg',
        label_files={'train': '.png', 'cityscapes': '.png', 'camvid': '.png'},
        label_folders={'camvid': 'bdd_taste/labels_camvid11/{split}'},
        splits={'': 24, 'train': 16, 'val': 8},
        source='bdd-data.berkeley.edu (24 frames of the 10K images, segmentation)',
    ),
    'mapillary': Layout(
        images='mapillary/{split}/images',
        labels='mapillary/{split}/labels',
        elsewhere=(('mapillary/{split}/images', 'mapillary/{split}/v1.2/labels'),),
        img_suffix='.jpg',
        label_files={'mapillary': '.png'},
        splits={'training': 18000, 'validation': 2000},
        source='mapillary.com/dataset/vistas',
        unverified='the count of training',
    ),
    'mapillary_v2': Layout(
        images='mapillary/{split}/images',
        labels='mapillary/{split}/v2.0/labels',
        img_suffix='.jpg',
        label_files={'mapillary_v2': '.png'},
        splits={'training': 18000, 'validation': 2000},
        source='mapillary.com/dataset/vistas (v2.0)',
        unverified='the count of training; what its new classes become among the 19',
    ),
    'acdc': Layout(
        images='acdc/rgb_anon/{split}',
        labels='acdc/gt/{split}',
        img_suffix='_rgb_anon.png',
        label_files={'train': '_gt_labelTrainIds.png', 'cityscapes': '_gt_labelIds.png'},
        splits={
            **{f'{name}/train': 400 for name in ('fog', 'night', 'rain', 'snow')},
            **{'fog/val': None, 'night/val': 106, 'rain/val': 100, 'snow/val': 100},
            **{f'{name}/test': 500 for name in ('fog', 'night', 'rain', 'snow')},
        },
        source='acdc.vision.ee.ethz.ch (rgb_anon_trainvaltest.zip, gt_trainval.zip)',
        unverified='the counts of train and test; of fog/val: 100 or 106, by source',
    ),
    'dark_zurich': Layout(
        images='dark_zurich/rgb_anon/{split}',
        labels='dark_zurich/gt/{split}',
        img_suffix='_rgb_anon.png',
        label_files={'train': '_gt_labelTrainIds.png', 'cityscapes': '_gt_labelIds.png'},
        splits={'val/night': 50, 'test/night': 151},
        source='trace.ethz.ch/publications/2019/GCMA_UIoU (Dark_Zurich_val_anon.zip)',
        unverified='folders, counts and source; names are those of mmseg',
    ),
    'nighttime_driving': Layout(
        images='NighttimeDrivingTest/leftImg8bit/test/night',
        labels='NighttimeDrivingTest/gtCoarse_daytime_trainvaltest/test/night',
        img_suffix='_leftImg8bit.png',
        label_files={
            'train': '_gtCoarse_labelTrainIds.png',
            'cityscapes': '_gtCoarse_labelIds.png',
        },
        splits={'': 50},
        source='people.ee.ethz.ch/~daid/NightDriving (NighttimeDrivingTest)',
        unverified='folders, count and source; names are those of mmseg',
    ),
}


def find_layout(name: str) -> Layout:
    """Returns the layout of a data set.

    Raises:
        UserError: If no layout has this name.
    """
    if name not in LAYOUTS:
        raise UserError(f'layout={name!r}; {near_misses(name, LAYOUTS)}')
    return LAYOUTS[name]
