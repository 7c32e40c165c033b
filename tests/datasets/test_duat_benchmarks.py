"""Polyps of five hospitals, lesions, nuclei: layouts as downloaded, under DuAT's protocol."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, OPTIM_WRAPPERS
from PIL import Image

from rein_seg.config.builtin import benchmarks
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.datasets import NucleiDataset, leaf_datasets
from rein_seg.errors import UserError

SIZE, SIDE = (30, 40), 352
USES = ('train', 'val', 'test')
HOSPITALS = {
    'cvc300': 'CVC-300',
    'colondb': 'CVC-ColonDB',
    'etis': 'ETIS-LaribPolypDB',
    'kvasir': 'Kvasir',
    'cvc612': 'CVC-ClinicDB',
}
ISIC = 'isic2018/ISIC2018_Task1'


def pairs(folder):
    return f'{folder}/images/{{}}.png', f'{folder}/masks/{{}}.png'


# benchmark -> domain -> (images, labels), both patterns of a number
LAYOUTS = {
    'polyp_five': {
        'polyp': pairs('polyp/TrainDataset'),
        **{name: pairs(f'polyp/TestDataset/{folder}') for name, folder in HOSPITALS.items()},
    },
    'isic2018': {
        f'isic2018{name}': (
            f'{ISIC}-2_{split}_Input/ISIC_000{{}}.jpg',
            f'{ISIC}_{split}_GroundTruth/ISIC_000{{}}_segmentation.png',
        )
        for name, split in (('_train', 'Training'), ('_val', 'Validation'), ('', 'Test'))
    },
    'isic2018_prepared': {
        'isic2018_train': pairs('isic2018/TrainDataset'),
        'isic2018': pairs('isic2018/TestDataset/ISIC-2018'),
    },
    'dsb2018_prepared': {
        'dsb2018_train': pairs('dsb2018/TrainDataset'),
        'dsb2018': pairs('dsb2018/TestDataset'),  # without a folder of its name
    },
    'dsb2018': {},
}
# benchmark -> domain -> images of ten of each folder
COUNTS = {
    'polyp_five': dict(polyp=9, polyp_val=1, **dict.fromkeys(HOSPITALS, 10)),
    'isic2018': dict(isic2018_train=10, isic2018_val=10, isic2018=10),
    'isic2018_prepared': dict(isic2018_train=9, isic2018_val=1, isic2018=10),
    'dsb2018_prepared': dict(dsb2018_train=9, dsb2018_val=1, dsb2018=10),
    'dsb2018': dict(dsb2018_train=8, dsb2018_val=1, dsb2018=1),
}
every = pytest.mark.parametrize('name', COUNTS)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def save_nuclei(root, name, masks, size=SIZE):
    """An image as downloaded, with an alpha channel, and a mask for each nucleus."""
    save(root / name / f'images/{name}.png', np.full((*size, 4), 255, np.uint8))
    for i, columns in enumerate(masks):
        mask = np.zeros(size, np.uint8)
        mask[:, columns] = 255
        save(root / name / f'masks/{name}_{i}.png', mask)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Ten pairs of each folder: the right half of a label is the thing."""
    root = tmp_path_factory.mktemp('downloaded')
    label = np.zeros(SIZE, np.uint8)
    label[:, SIZE[1] // 2 :] = 255
    for layout in LAYOUTS.values():
        for image, truth in layout.values():
            for i in range(10):
                save(root / image.format(i), np.full((*SIZE, 3), 40 + 20 * i, np.uint8))
                save(root / truth.format(i), label)
    for i in range(10):
        nuclei = [slice(20, 30), slice(25, 40)]  # which touch
        save_nuclei(root / 'dsb2018/stage1_train', f'{i}{i}ab', nuclei)
    for name in ('ATTRIBUTION.txt', 'LICENSE.txt'):
        (root / f'{ISIC}-2_Training_Input' / name).write_text('')
    return root


def load(name, root, **options):
    model = read('lora_sam_base_duat_polyp').content.model
    schedule = read('lora_sam_base_duat_polyp').content
    keys = ('train_cfg', 'default_hooks', 'max_iters')
    cfg = Config(
        {
            **benchmarks()[name].content(),
            'model': model,
            **{key: schedule[key] for key in keys},
        }
    )
    return resolve(cfg, Request(options={'data_root': str(root), **options}))


def domains(cfg, use):
    parts = leaf_datasets(DATASETS.build(cfg[f'{use}_dataloader'].dataset))
    return {part.domain: part for part in parts}


@every
def test_every_image_is_found_once(root, name):
    cfg = load(name, root).cfg
    found = {domain: len(part) for use in USES for domain, part in domains(cfg, use).items()}
    assert found == COUNTS[name]


@every
def test_training_and_test_samples(root, name):
    cfg = load(name, root).cfg
    (part,) = domains(cfg, 'train').values()
    sample = part[0]
    label = sample['data_samples'].gt_sem_seg.data
    assert sample['inputs'].shape == (3, SIDE, SIDE)
    assert label.shape == (1, SIDE, SIDE)
    assert label.unique().tolist() == [0, 1]
    assert label.float().mean() == 0.5
    for use in ('val', 'test'):
        for domain, part in domains(cfg, use).items():
            sample = part[0]
            data = sample['data_samples']
            assert sample['inputs'].shape == (3, SIDE, SIDE)
            assert data.gt_sem_seg.data.shape == (1, *SIZE)  # scores at the label's size
            assert data.ori_shape == SIZE
            assert data.domain == domain


@every
def test_the_recipe_is_the_protocols(root, name):
    resolved = load(name, root)
    cfg = resolved.cfg
    assert cfg.benchmark.protocol == 'duat352'
    assert resolved.deviations.test == ()
    steps = [step['type'] for step in cfg.train_dataloader.dataset.pipeline]
    assert steps == [
        'LoadDomainImage', 'LoadLabels', 'LABExchange', 'Resize', 'RandomFlip', 'RandomFlip',
        'PackDomainInputs',
    ]  # fmt: skip
    assert (cfg.model.crop_size, cfg.model.multi_scale) == ((SIDE, SIDE), 'one')
    assert (cfg.train_dataloader.batch_size, cfg.epochs) == (16, 297)
    wrapper = cfg.optim_wrapper
    assert (wrapper.optimizer.lr, wrapper.optimizer.weight_decay) == (1e-4, 1e-4)
    assert 'paramwise_cfg' not in wrapper  # all parameters decay
    assert wrapper.clip_grad == dict(type='value', clip_value=0.5)
    assert cfg.param_scheduler == []  # the rate is constant
    source = cfg.benchmark.selection.metric.split('/')[0]
    assert [*domains(cfg, 'val')] == [source] == [cfg.val_evaluator.source]
    assert cfg.benchmark.selection.metric.endswith('/Dice_curve')


def test_gradients_are_clamped_one_by_one(root):
    cfg = load('polyp_five', root).cfg
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    options = dict(type='OptimWrapper', clip_grad=dict(cfg.optim_wrapper.clip_grad))
    wrapper = OPTIM_WRAPPERS.build(dict(**options, optimizer=optimizer))
    wrapper.update_params((parameter * torch.tensor([0.25, 3.0, -9.0])).sum())
    assert parameter.tolist() == [-0.25, -0.5, 0.5]


def test_the_mean_is_over_hospitals_that_training_never_saw(root):
    cfg = load('polyp_five', root).cfg
    assert cfg.test_evaluator.targets == ['cvc300', 'colondb', 'etis']
    assert [*domains(cfg, 'test')] == [*HOSPITALS]
    expected = cfg.expected_images.test
    assert [expected[name] for name in HOSPITALS] == [60, 380, 196, 100, 62]


def test_the_official_form_is_one_word(root):
    cfg = load('polyp_five', root, protocol='duat352_official').cfg
    exchange, resize = cfg.train_dataloader.dataset.pipeline[2:4]
    assert (exchange.wrap, resize.interpolation) == (True, 'nearest')
    assert cfg.model.multi_scale == 'each'
    cfg = resolve(cfg, Request(protocol='duat352')).cfg
    assert cfg.model.multi_scale == 'one'


def test_one_size_is_a_deviation(root):
    found = load('polyp_five', root, **{'model.multi_scale': 'each'}).deviations.training
    assert 'multi_scale each instead of one' in found
    assert not any('multi_scale' in one for one in load('polyp_five', root).deviations.training)
    found = load('polyp_five', root, **{'model.multi_scale_ratios': [1.0, 2.0]}).deviations.training
    assert any(one.startswith('multi_scale_ratios') for one in found)


def test_several_sizes_are_a_deviation_from_a_protocol_without_them():
    for options, expected in (({}, []), ({'model.multi_scale': 'one'}, ['multi_scale'])):
        found = resolve('rein_dinov2_gtav', Request(options=options)).deviations.training
        assert [one.split()[0] for one in found if one.startswith('multi_scale')] == expected


def dataset(root, **options):
    return NucleiDataset('dsb', data_root=str(root), pipeline=[dict(type='LoadLabels')], **options)


def test_masks_of_all_nuclei_are_one(tmp_path):
    save_nuclei(tmp_path / 'stage1_train', 'b', [slice(0, 2), slice(3, 4), slice(3, 6)], (2, 8))
    save_nuclei(tmp_path / 'stage1_train', 'a', [slice(7, 8)], (4, 8))
    found = dataset(tmp_path)
    names = [Path(found.get_data_info(i)['img_path']).stem for i in range(2)]
    assert names == ['a', 'b']
    assert found[0]['gt_seg_map'][0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    assert found[1]['gt_seg_map'][0].tolist() == [1, 1, 0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize('inside', ['', 'stage1_train/'])
def test_masks_of_all_nuclei_are_one_from_a_zip(tmp_path, inside):
    save_nuclei(tmp_path / 'made', 'b', [slice(0, 2), slice(3, 4), slice(3, 6)], (2, 8))
    with zipfile.ZipFile(tmp_path / 'stage1_train.zip', 'w') as file:
        for path in (tmp_path / 'made').rglob('*.png'):
            file.write(path, f'{inside}{path.relative_to(tmp_path / "made")}')
    found = dataset(tmp_path, data_prefix=dict(img_path='stage1_train.zip'))
    assert found[0]['gt_seg_map'].tolist() == [[1, 1, 0, 1, 1, 1, 0, 0]] * 2


def test_a_mask_without_a_pixel_is_background(tmp_path):
    save_nuclei(tmp_path / 'stage1_train', 'a', [slice(0, 0)], (2, 4))
    assert not dataset(tmp_path)[0]['gt_seg_map'].any()


def test_damaged_nuclei_are_said(tmp_path):
    folder = tmp_path / 'stage1_train'
    with pytest.raises(UserError, match="domain 'dsb'.*stage1_train.*does not exist"):
        dataset(tmp_path)
    folder.mkdir()
    with pytest.raises(UserError, match='no folder in .* has images/.*data-science-bowl-2018'):
        dataset(tmp_path)
    save_nuclei(folder, 'a', [])
    with pytest.raises(UserError, match='1 of 1 images have no masks; first: .*a/images/a.png'):
        dataset(tmp_path)
    save_nuclei(folder, 'a', [slice(0, 2)])
    save(folder / 'a/masks/other.png', np.zeros((5, 5), np.uint8))
    with pytest.raises(UserError, match=r'are \(30, 40\) and \(5, 5\)'):
        dataset(tmp_path)[0]
