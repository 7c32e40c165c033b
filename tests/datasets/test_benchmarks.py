"""The benchmarks read data as downloaded: layouts, raw ids, and the sizes of the protocol."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmseg.datasets import MapillaryDataset_v1
from mmseg.registry import DATASETS

from rein_seg.apis import load_config
from rein_seg.config.checks import check_run
from rein_seg.datasets import CityscapesSpaceDataset, leaf_datasets
from rein_seg.datasets.cityscapes_space import MAPILLARY_LABEL_IDS
from rein_seg.datasets.mapillary import MAPILLARY_CLASSES
from rein_seg.errors import UserError

CLASSES = CityscapesSpaceDataset.METAINFO['classes']
# image, label, raw id, (height, width)
FILES = {
    'gtav': ('gta/images/00001.png', 'gta/labels/00001.png', 26, (1052, 1914)),
    'cityscapes': (
        'cityscapes/leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png',
        'cityscapes/gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png',
        26,
        (1024, 2048),
    ),
    'train': (
        'cityscapes/leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png',
        'cityscapes/gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png',
        26,
        (1024, 2048),
    ),
    'bdd100k': (
        'bdd100k/images/10k/val/a.jpg',
        'bdd100k/labels/sem_seg/masks/val/a.png',
        13,
        (720, 1280),
    ),
    'mapillary': (
        'mapillary/validation/images/a.jpg',
        'mapillary/validation/labels/a.png',
        55,
        (1513, 2017),
    ),
    **{
        name: (
            f'acdc/rgb_anon/{name}/val/GOPR01/GOPR01_frame_000001_rgb_anon.png',
            f'acdc/gt/{name}/val/GOPR01/GOPR01_frame_000001_gt_labelTrainIds.png',
            13,
            (1080, 1920),
        )
        for name in ('night', 'snow', 'fog', 'rain')
    },
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with one image of every data set, full of cars, and a weights file."""
    folder = tmp_path_factory.mktemp('downloaded')
    for image, label, raw, size in FILES.values():
        for name, array in (
            (image, np.full((*size, 3), 90, np.uint8)),
            (label, np.full(size, raw, np.uint8)),
        ):
            path = folder / 'data' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), array)
    (folder / 'checkpoints').mkdir()
    for name in ('dinov2_vitl14_pretrain', 'ddrnet23s-in1kpre_3rdparty-1ccac5b1'):
        (folder / f'checkpoints/{name}.pth').touch()  # only looked for, never read
    return folder


def load(repo, name, folder, monkeypatch):
    cfg = load_config(str(repo / f'configs/{name}.py'))
    monkeypatch.chdir(folder)
    return cfg


SIZES = {
    'rein_dinov2_gtav': {
        'cityscapes': ((512, 1024), (1024, 2048)),
        'bdd100k': ((720, 1280), (720, 1280)),
        'mapillary': ((512, 683), (756, 1008)),
    },
    'rein_dinov2_gtav_1024': {
        'cityscapes': ((1024, 2048), (1024, 2048)),
        'bdd100k': ((1024, 1820), (720, 1280)),
        'mapillary': ((1024, 1365), (756, 1008)),
    },
    'rein_dinov2_cityscapes_to_acdc': {
        **dict.fromkeys(('night', 'snow', 'fog', 'rain'), ((1080, 1920), (1080, 1920)))
    },
    'full_ddrnet_23_slim_cityscapes': {'cityscapes': ((1024, 2048), (1024, 2048))},
}


@pytest.mark.parametrize('name', SIZES)
def test_image_and_label_sizes_and_classes(name, folder, repo, monkeypatch):
    cfg = load(repo, name, folder, monkeypatch)
    found = {}
    for part in leaf_datasets(DATASETS.build(cfg.val_dataloader.dataset)):
        sample = part[0]
        data = sample['data_samples']
        assert data.gt_sem_seg.data.unique().tolist() == [CLASSES.index('car')]
        assert data.ori_shape == tuple(data.gt_sem_seg.data.shape[-2:])
        found[part.domain] = (tuple(sample['inputs'].shape[-2:]), data.ori_shape)
    assert found == SIZES[name]


@pytest.mark.parametrize('name', SIZES)
def test_checks_before_a_run_pass(name, folder, repo, monkeypatch):
    cfg = load(repo, name, folder, monkeypatch)
    checked = check_run(cfg, training=True)
    sizes = checked.sizes
    assert len(sizes) == 1 + len(SIZES[name])
    crop = tuple(cfg.benchmark.crop_size)
    if cfg.model.test_cfg.mode == 'slide':
        assert set(sizes.values()) == {crop}
    else:  # crops in training, whole images in the test
        assert set(sizes.values()) == {crop, *(image for image, _ in SIZES[name].values())}
    if name == 'rein_dinov2_gtav':
        assert checked.numbers['val'][1].endswith(' instead of 1000')


def test_a_layout_that_is_not_there(folder, repo, monkeypatch, tmp_path):
    cfg = load(repo, 'rein_dinov2_gtav', tmp_path, monkeypatch)
    os.symlink(folder / 'data/gta', Path(tmp_path) / 'gta')
    with pytest.raises(
        UserError, match=r"'gtav': folder of images 'data/gta/images' does not exist"
    ):
        check_run(cfg, training=True)


def test_mapillary_names_are_in_the_order_of_the_ids():
    names = tuple(name for name, _ in MAPILLARY_CLASSES)
    assert names == tuple(MapillaryDataset_v1.METAINFO['classes'])


def test_mapillary_ids_by_name():
    """Classes of the same name, and names that published conversions put into another class."""
    id_of = {name: raw for raw, (name, _) in enumerate(MAPILLARY_CLASSES)}
    expected = {
        'road': [
            'Road', 'Crosswalk - Plain', 'Parking', 'Bike Lane', 'Service Lane',
            'Lane Marking - Crosswalk', 'Lane Marking - General',
        ],
        'sidewalk': ['Curb', 'Pedestrian Area', 'Sidewalk'],
        'pole': ['Pole', 'Street Light', 'Utility Pole'],
        'traffic sign': ['Traffic Sign (Back)', 'Traffic Sign (Front)'],
        'rider': ['Bicyclist', 'Motorcyclist', 'Other Rider'],
        'train': ['On Rails'],
    }  # fmt: skip
    same = set(CLASSES) - set(expected)
    expected |= {name: [name.title()] for name in same}
    wanted = {id_of[name]: CLASSES.index(cls) for cls, names in expected.items() for name in names}
    assert {raw: index for raw, index in MAPILLARY_LABEL_IDS.items() if index != 255} == wanted
    assert list(MAPILLARY_LABEL_IDS) == list(range(66))


def test_unknown_label_ids():
    with pytest.raises(UserError, match="label_ids='mapilary'; did you mean 'mapillary'"):
        DATASETS.build(dict(type='CityscapesSpaceDataset', domain='m', label_ids='mapilary'))


def test_halving_keeps_classes_and_averages_colours():
    from mmseg.registry import TRANSFORMS

    checks = np.indices((32, 40)).sum(0) % 2 * 200
    image = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    label = np.arange(80, dtype=np.uint8).reshape(8, 10)
    halved = TRANSFORMS.build(dict(type='HalveImage'))(dict(img=image))
    assert halved['img'].shape == (16, 20, 3)
    assert halved['ori_shape'] == halved['img_shape'] == (16, 20)
    inside = halved['img'][4:-4, 4:-4].astype(int)
    assert abs(inside - 100).max() <= 1  # antialiased: no moire
    small = TRANSFORMS.build(dict(type='HalveLabel'))(dict(gt_seg_map=label))['gt_seg_map']
    assert small.shape == (4, 5)
    assert set(small.ravel().tolist()) <= set(label.ravel().tolist())
