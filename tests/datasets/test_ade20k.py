"""ADE20K as downloaded: layout, ids, sizes, and the data doctor."""

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.datasets import ADE20KDataset
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.config.builtin import benchmarks
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.data_check import check_data, read_parts
from rein_seg.datasets import ADEChallengeDataset
from rein_seg.errors import UserError


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Two images of each split; a label has 0, 1 (wall) and 150 (flag)."""
    root = tmp_path_factory.mktemp('downloaded')
    label = np.zeros((256, 400), np.uint8)
    label[:, 100:], label[:, 200:] = 1, 150
    for split, name in (('training', 'ADE_train'), ('validation', 'ADE_val')):
        for kind, array, suffix in (
            ('images', np.full((256, 400, 3), 90, np.uint8), 'jpg'),
            ('annotations', label, 'png'),
        ):
            folder = root / 'ADEChallengeData2016' / kind / split
            folder.mkdir(parents=True)
            for i in (1, 2):
                Image.fromarray(array).save(folder / f'{name}_0000000{i}.{suffix}')
    return root


@pytest.fixture(scope='module')
def cfg(root):
    content = benchmarks()['ade20k'].content()
    content = Config({**content, 'model': read('rein_resnet50_gtav').content.model})
    return resolve(content, Request(options={'data_root': str(root)})).cfg


def test_classes_and_colours():
    classes, palette = (ADEChallengeDataset.METAINFO[key] for key in ('classes', 'palette'))
    assert (len(classes), len(set(classes)), len(palette)) == (150, 150, 150)
    assert (classes[0], classes[149], palette[0]) == ('wall', 'flag', [120, 120, 120])
    assert ADEChallengeDataset.METAINFO is ADE20KDataset.METAINFO


def test_training_crops_and_label_ids(cfg):
    assert (cfg.protocol, cfg.benchmark.crop_size) == ('pvt512', (512, 512))
    part = DATASETS.build(cfg.train_dataloader.dataset)
    assert (len(part), part.expected_images) == (2, 20210)
    data = part[0]
    assert max(data['inputs'].shape[1:]) <= 512
    assert set(data['data_samples'].gt_sem_seg.data.unique().tolist()) <= {0, 149, 255}


def test_test_images_have_sides_of_multiples_of_32_and_are_scored_at_the_label(cfg):
    part = DATASETS.build(cfg.val_dataloader.dataset)
    assert (len(part), part.expected_images) == (2, 2000)
    sample = part[0]
    assert sample['inputs'].shape == (3, 512, 800)  # inside 2048x512, already multiples
    label = sample['data_samples'].gt_sem_seg.data
    assert label.shape == (1, 256, 400)
    assert label.unique().tolist() == [0, 149, 255]
    assert sample['data_samples'].ori_shape == (256, 400)


def test_sides_are_rounded_up(cfg, tmp_path):
    for kind, array in (('images', (260, 400, 3)), ('annotations', (260, 400))):
        folder = tmp_path / 'ADEChallengeData2016' / kind / 'validation'
        folder.mkdir(parents=True)
        suffix = 'jpg' if kind == 'images' else 'png'
        Image.fromarray(np.ones(array, np.uint8)).save(folder / f'a.{suffix}')
    node = {**cfg.val_dataloader.dataset, 'data_root': str(tmp_path)}
    assert DATASETS.build(node)[0]['inputs'].shape == (3, 512, 800)  # 512 x 788


def test_the_data_doctor_knows_it(root):
    parts = read_parts('ade20k', data_root=str(root))
    assert [(part.name, part.expected) for part in parts] == [
        ('train/ade20k_train', 20210),
        ('val/ade20k', 2000),
    ]
    train, val = check_data(parts, workers=1)
    for check, expected in ((train, 20210), (val, 2000)):
        (fault,) = check.faults
        assert f'has 2 images, expected are {expected}' in fault.message
    assert set(val.total('raw')) == {0, 1, 150}


def test_another_split_is_refused():
    with pytest.raises(UserError, match=r"split='train'.*training"):
        ADEChallengeDataset('ade20k', split='train')
