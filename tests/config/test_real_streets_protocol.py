"""Benchmarks on real streets: what their protocols resize, and their data from a miniature copy."""

import shutil

import pytest
from mmseg.registry import DATASETS

from rein_seg.apis import load_config
from rein_seg.config.builtin import benchmarks
from rein_seg.config.checks import check_run
from rein_seg.data_check import check_data, read_parts
from rein_seg.datasets import leaf_datasets
from rein_seg.datasets.files import faults as kinds
from rein_seg.errors import UserError
from tests.paths import REPO
from tests.real_streets import LABEL_IDS, SIZE, STREETS, needs_streets, write_pair, write_streets

NAMES = ('camvid_to_kitti', 'kitti_to_bdd', 'miniscapes_to_real')
# (height, width) of test images
TESTED = {
    'streets288': dict(
        day=(288, 384), dusk=(288, 384), kitti=(288, 960), bdd=(288, 512), clear=(288, 576)
    ),
    'streets144': dict(
        day=(144, 192), dusk=(144, 192), kitti=(144, 480), bdd=(144, 256), clear=(144, 288)
    ),
}
CROPS = {'streets288': (256, 256), 'streets144': (128, 192)}


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp('streets'))


def config(name, root, protocol='streets144'):
    options = dict(data_root=str(root), protocol=protocol)
    if name == 'miniscapes_to_real':
        for key in ('train_dataloader.dataset', 'val_dataloader.dataset.datasets.0'):
            options |= {f'{key}.count': 2, f'{key}.size': (64, 32), f'{key}.data_root': str(root)}
    return load_config(str(REPO / f'configs/rein_tiny_{name}.py'), cfg_options=options)


@pytest.mark.parametrize('protocol', TESTED)
@pytest.mark.parametrize('name', NAMES)
def test_sizes_of_crops_and_test_images(name, protocol, streets):
    cfg = config(name, streets, protocol)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert tuple(train[0]['inputs'].shape[1:]) == CROPS[protocol] == tuple(cfg.model.crop_size)
    for part in leaf_datasets(DATASETS.build(cfg.val_dataloader.dataset)):
        sample = part[0]
        assert tuple(sample['inputs'].shape[1:]) == TESTED[protocol][part.domain]
        label = sample['data_samples'].gt_sem_seg.data
        # scores are at the label's own size
        assert sample['data_samples'].ori_shape == tuple(label.shape[1:])
        assert tuple(label.shape[1:]) == ((32, 64) if part.domain == 'clear' else SIZE)
    assert cfg.model.test_cfg.mode == 'whole'


def test_sources_and_targets():
    found = {name: benchmarks()[name].metric_node('test') for name in NAMES}
    assert [(node['source'], node['targets']) for node in found.values()] == [
        ('day', ['dusk', 'kitti', 'bdd']),
        ('kitti', ['bdd']),
        ('clear', ['day', 'dusk', 'kitti', 'bdd']),
    ]
    assert [benchmarks()[name].num_classes for name in NAMES] == [11, 19, 11]


@pytest.mark.parametrize('name', ['camvid_to_kitti', 'kitti_to_bdd'])
def test_checks_before_a_run(name, streets):
    checked = check_run(config(name, streets), training=True)
    assert f'images of {"day" if name[0] == "c" else "kitti"}' in checked.numbers['train'][0]
    assert len(checked.classes) == benchmarks()[name].num_classes


def test_the_doctor_finds_every_set_once(streets):
    parts = read_parts(str(streets))
    found = {part.name: part.expected for part in parts}
    assert found == {
        'train/day': None,  # of camvid_day_to_dusk, whose numbers are not stated
        'val/day': None,
        'val/dusk': None,
        'val/kitti': 200,
        'val/bdd': 24,
        'train/kitti': 150,
        'val/kitti #2': 50,
        'val/bdd #2': 24,
    }
    checks = check_data(parts, workers=1)
    assert {fault.kind for check in checks for fault in check.faults} == {kinds.COUNT}
    assert [check.found for check in checks] == [2, 2, 2, 4, 2, 2, 2, 2]


def test_the_doctor_tells_ids_of_another_convention(tmp_path):
    """Label ids where BDD100K's train ids should be."""
    write_streets(tmp_path)
    shutil.rmtree(tmp_path / 'bdd_taste')
    for split in ('train', 'val'):
        image = tmp_path / f'bdd_taste/images/{split}/{split}-a.jpg'
        write_pair(image, tmp_path / f'bdd_taste/labels/{split}/{split}-a.png', LABEL_IDS, 1)
    for name in ('camvid_to_kitti', 'kitti_to_bdd'):
        (check,) = (
            check
            for check in check_data(read_parts(name, data_root=str(tmp_path)), workers=1)
            if check.part.name == 'val/bdd'
        )
        assert [fault.kind for fault in check.faults] == [
            kinds.COUNT, kinds.IDS, kinds.IDS, kinds.OTHER_IDS,
        ]  # fmt: skip
        assert all("label_ids='cityscapes'" in fault.message for fault in check.faults[1:])
        with pytest.raises(UserError, match=r"'bdd': labels such as .*label_ids='cityscapes'"):
            check_run(config(name, tmp_path), training=True)


@needs_streets
@pytest.mark.parametrize('name', NAMES)
def test_real_files_are_all_there(name):
    drawn = 'MiniCamVidDataset'
    parts = [
        part
        for part in read_parts(name, data_root=str(STREETS))
        if type(part.dataset).__name__ != drawn
    ]
    checks = check_data(parts)
    assert [fault.message for check in checks for fault in check.faults] == []
    assert all(check.found == check.part.expected for check in checks)
