"""Conv-LoRA's tasks: layouts as downloaded, values and sizes under both protocols."""

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

from rein_seg.config.builtin import benchmarks
from rein_seg.config.protocols.binary import SQUARE as RESIZE
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.datasets import leaf_datasets
from rein_seg.errors import UserError

SIZE = (30, 40)
SQUARE = (1024, 1024)
USES = ('train', 'val', 'test')


def ten(pattern):
    return [pattern.format(i) for i in range(10)]


# task -> use -> (images, labels), both patterns of a number; the last is what else lies there
LAYOUTS = {
    'polyp': {
        'polyp': ('polyp/TrainDataset/images/{}.png', 'polyp/TrainDataset/masks/{}.png'),
        'kvasir': (
            'polyp/TestDataset/Kvasir/images/{}.png',
            'polyp/TestDataset/Kvasir/masks/{}.png',
        ),
        'cvc612': (
            'polyp/TestDataset/CVC-ClinicDB/images/{}.png',
            'polyp/TestDataset/CVC-ClinicDB/masks/{}.png',
        ),
    },
    'camo': {
        'camo_train': ('camo/TrainDataset/Imgs/{}.jpg', 'camo/TrainDataset/GT/{}.png'),
        'camo': ('camo/TestDataset/CAMO/Imgs/{}.jpg', 'camo/TestDataset/CAMO/GT/{}.png'),
    },
    'isic2017': {
        f'isic2017{name}': (
            f'isic2017/ISIC-2017_{split}_Data/ISIC_000{{}}.jpg',
            f'isic2017/ISIC-2017_{split}_Part1_GroundTruth/ISIC_000{{}}_segmentation.png',
        )
        for name, split in (('_train', 'Training'), ('_val', 'Validation'), ('', 'Test_v2'))
    },
    'sbu_shadow': {
        name: (
            f'SBU-shadow/{split}/ShadowImages/{{}}.jpg',
            f'SBU-shadow/{split}/ShadowMasks/{{}}.png',
        )
        for name, split in (('sbu_train', 'SBUTrain4KRecoveredSmall'), ('sbu', 'SBU-Test'))
    },
    'massachusetts_road': {
        f'road{name}': (
            f'massachusetts_road/tiff/{split}/{{}}_15.tiff',
            f'massachusetts_road/tiff/{split}_labels/{{}}_15.tif',
        )
        for name, split in (('_train', 'train'), ('_val', 'val'), ('', 'test'))
    },
    'leaf_disease': {
        'leaf_train': ('leaf_disease/images/train{}.jpg', 'leaf_disease/masks/train{}.png'),
        'leaf': ('leaf_disease/images/test{}.jpg', 'leaf_disease/masks/test{}.png'),
    },
    'trans10k_v2': {
        f'trans10k{name}': (
            f'trans10k_v2/{split}/images/{{}}.jpg',
            f'trans10k_v2/{split}/masks/{{}}_mask.png',
        )
        for name, split in (('_train', 'train'), ('_val', 'validation'), ('', 'test'))
    },
}
HELD_OUT = {
    'polyp': 'polyp_val',
    'camo': 'camo_val',
    'sbu_shadow': 'sbu_val',
    'leaf_disease': 'leaf_val',
}
TASKS = pytest.mark.parametrize('task', LAYOUTS)
SPLIT_TASKS = [task for task in LAYOUTS if task not in HELD_OUT]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Ten pairs of each folder: the right half of a label is the last class."""
    root = tmp_path_factory.mktemp('downloaded')
    label = np.zeros(SIZE, np.uint8)
    for task, domains in LAYOUTS.items():
        label[:, SIZE[1] // 2 :] = 11 if task == 'trans10k_v2' else 255
        for image, truth in domains.values():
            for pattern, array in ((image, np.full((*SIZE, 3), 90, np.uint8)), (truth, label)):
                for path in ten(pattern):
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(root / path)
    superpixels = 'isic2017/ISIC-2017_Training_Data/ISIC_0001_superpixels.png'
    Image.new('RGB', SIZE[::-1]).save(root / superpixels)
    for split in ('train', 'test'):
        rows = [f'images/{split}{i}.jpg,masks/{split}{i}.png' for i in range(10)]
        (root / f'leaf_disease/{split}.csv').write_text('\n'.join(['image,label', *rows]))
    return root


def load(task, root, **options):
    """Returns a benchmark as `load_config` completes it."""
    model = read('lora_sam_huge_polyp').content.model
    cfg = Config({**benchmarks()[task].content(), 'model': model})
    return resolve(cfg, Request(options={'data_root': str(root), **options})).cfg


def domains(cfg, use):
    """Returns domain -> data set."""
    dataset = cfg[f'{use}_dataloader'].dataset
    for part in dataset.get('datasets', [dataset]):
        part.serialize_data = False  # mmengine's collects garbage each time
    parts = leaf_datasets(DATASETS.build(dataset))
    return {part.domain: part for part in parts}


@TASKS
def test_every_file_is_found_once(root, task):
    cfg = load(task, root)
    found = {name: len(part) for use in USES for name, part in domains(cfg, use).items()}
    expected = dict.fromkeys(LAYOUTS[task], 10)
    if task in HELD_OUT:
        train = next(iter(expected))
        expected |= {train: 9, HELD_OUT[task]: 1}
    assert found == expected


@TASKS
def test_training_sample(root, task):
    cfg = load(task, root)
    (part,) = domains(cfg, 'train').values()
    sample = part[0]
    assert sample['inputs'].shape == (3, *SQUARE)
    label = sample['data_samples'].gt_sem_seg.data
    assert label.shape == (1, *SQUARE)
    assert label.unique().tolist() == [0, cfg.benchmark.num_classes - 1]
    steps = [step['type'] for step in cfg.train_dataloader.dataset.pipeline]
    assert steps == ['LoadDomainImage', 'LoadLabels', 'Resize', 'RandomFlip', 'PackDomainInputs']


@pytest.mark.parametrize('protocol', ['original', 'square1024'])
@TASKS
def test_test_sample_under_both_protocols(root, task, protocol):
    cfg = load(task, root, protocol=protocol)
    for use in ('val', 'test'):
        part = next(iter(domains(cfg, use).values()))
        sample = part[0]
        data = sample['data_samples']
        assert sample['inputs'].shape == (3, *SQUARE)
        scored = SIZE if protocol == 'original' else SQUARE
        assert data.ori_shape == scored
        assert data.gt_sem_seg.data.shape == (1, *scored)
        assert data.gt_sem_seg.data.unique().tolist() == [0, cfg.benchmark.num_classes - 1]
        assert data.domain == part.domain
        assert cfg[f'{use}_evaluator'].protocol == cfg.benchmark.protocol == protocol


@TASKS
def test_evaluators_name_the_domains_they_get(root, task):
    cfg = load(task, root)
    assert [*domains(cfg, 'val')] == [cfg.val_evaluator.source]
    assert [*domains(cfg, 'test')] == cfg.test_evaluator.targets
    assert cfg.benchmark.selection.metric.split('/')[0] == cfg.val_evaluator.source
    classes = {len(p.metainfo['classes']) for use in USES for p in domains(cfg, use).values()}
    assert classes == {cfg.benchmark.num_classes}
    assert cfg.model.test_cfg.get('keep_scores') == (cfg.benchmark.num_classes == 2)


def test_recipe_of_each_task(root):
    recipe = {
        task: (
            cfg.epochs,
            cfg.benchmark.selection.metric.split('/')[1],
            cfg.benchmark.selection.rule,
        )
        for task in LAYOUTS
        for cfg in [load(task, root)]
    }
    assert recipe == {
        'polyp': (30, 'S', 'greater'),
        'camo': (20, 'S', 'greater'),
        'isic2017': (30, 'IoU_image', 'greater'),
        'sbu_shadow': (10, 'BER', 'less'),
        'massachusetts_road': (20, 'IoU_image', 'greater'),
        'leaf_disease': (30, 'IoU_image', 'greater'),
        'trans10k_v2': (30, 'mIoU', 'greater'),
    }


def test_a_soft_mask_is_cut_at_128(root, tmp_path):
    (tmp_path / 'polyp').mkdir()
    (tmp_path / 'polyp/TestDataset').symlink_to(root / 'polyp/TestDataset')
    for kind, array in (('images', np.zeros((2, 4, 3))), ('masks', [[0, 100, 200, 255]] * 2)):
        path = tmp_path / f'polyp/TrainDataset/{kind}/1.png'
        path.parent.mkdir(parents=True)
        Image.fromarray(np.asarray(array, np.uint8)).save(path)
    cfg = load('polyp', tmp_path, **{'train_dataloader.dataset.part': None})
    label = domains(cfg, 'train')['polyp'][0]['data_samples'].gt_sem_seg.data[0]
    assert label[0, :: 1024 // 4].tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])  # flipped or not


def test_strange_classes_of_trans10k_are_named(root, tmp_path):
    for path, value in (('images/1.jpg', 0), ('masks/1_mask.png', 12)):
        path = tmp_path / 'trans10k_v2/test' / path
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full(SIZE, value, np.uint8)).save(path)
    cfg = load('trans10k_v2', tmp_path)
    with pytest.raises(UserError, match=r'holds the ids \[12\], outside its label space \(0 to 11'):
        domains(cfg, 'test')['trans10k'][0]


def test_training_on_all_images_is_one_option(root):
    cfg = load('camo', root, **{'train_dataloader.dataset.part': None})
    assert len(domains(cfg, 'train')['camo_train']) == 10


def test_the_resize_is_pillows():
    """The official image comes from torchvision's resize of a Pillow image, likewise."""
    from torchvision.transforms.functional import InterpolationMode, resize

    image = np.random.default_rng(0).integers(0, 256, (1500, 700, 3), np.uint8)
    label = (image[..., 0] > 127).astype(np.uint8)
    results = dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map'])
    done = TRANSFORMS.build(dict(RESIZE))(results)
    for key, given, mode in (
        ('img', image, InterpolationMode.BICUBIC),
        ('gt_seg_map', label, InterpolationMode.NEAREST),
    ):
        expected = resize(Image.fromarray(given), list(SQUARE), mode)
        np.testing.assert_array_equal(done[key], np.array(expected))


def test_score_at_input_size_needs_the_resized_label():
    step = TRANSFORMS.build(dict(type='ScoreAtInputSize'))
    image, label = np.zeros((8, 8, 3), np.uint8), np.zeros((4, 8), np.uint8)
    with pytest.raises(UserError, match=r"'x' is \(8, 8\) after its resize, its label \(4, 8\)"):
        step(dict(img=image, gt_seg_map=label, img_path='x', ori_shape=(4, 8)))
