import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.datasets import leaf_datasets
from rein_seg.errors import UserError

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]
CLASSES = dict(classes=('a', 'b'), palette=[[0, 0, 0], [9, 9, 9]])


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(('x/1', 'x/2', '3')):
        for kind, suffix in (('images', '_rgb.png'), ('labels', '_ids.png')):
            path = tmp_path / kind / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((4, 6), i % 2, np.uint8))
    return tmp_path


def build(root, **options):
    cfg = dict(
        type='DomainDataset',
        domain='d',
        data_root=str(root),
        img_suffix='_rgb.png',
        seg_map_suffix='_ids.png',
        metainfo=CLASSES,
        pipeline=PIPELINE,
    )
    return DATASETS.build({**cfg, **options})


def test_pairs_by_name_recursively_and_carries_the_domain(folder):
    dataset = build(folder)
    assert len(dataset) == 3
    names = [dataset.get_data_info(i)['seg_map_path'] for i in range(3)]
    assert [n[len(str(folder)) :] for n in names] == [
        '/labels/3_ids.png',
        '/labels/x/1_ids.png',
        '/labels/x/2_ids.png',
    ]
    assert dataset[0]['data_samples'].domain == 'd'
    assert dataset[2]['data_samples'].gt_sem_seg.data.unique().tolist() == [1]


def test_missing_root_folder_label_and_images(folder, tmp_path):
    with pytest.raises(UserError, match="folder of images .*none/images' does not exist: put"):
        build(tmp_path / 'none')
    with pytest.raises(UserError, match="folder of labels .*ids' does not exist"):
        build(folder, data_prefix=dict(img_path='images', seg_map_path='ids'))
    with pytest.raises(UserError, match="no file ends in '.tif'"):
        build(folder, img_suffix='.tif')
    (folder / 'labels/x/2_ids.png').unlink()
    with pytest.raises(UserError, match=r'1 of 3 images have no label; first: .*x/2_rgb.png'):
        build(folder)


def test_split_file_chooses_the_images(folder):
    (folder / 'split.txt').write_text('x/2\n3\n')
    dataset = build(folder, ann_file='split.txt')
    assert [dataset.get_data_info(i)['img_path'][-9:] for i in range(2)] == ['3_rgb.png'] + [
        '2_rgb.png'
    ]
    (folder / 'split.txt').write_text('y\n')
    with pytest.raises(UserError, match="lists 1 images that are not there; first: 'y_rgb.png'"):
        build(folder, ann_file='split.txt')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(reduce_zero_label=True), 'have no effect here'),
        (dict(label_map={1: 7}), 'label_map {1: 7} maps outside its 2 classes'),
        (dict(label_map={-1: 0}), 'raw ids of 0 to'),
        (
            dict(data_prefix=dict(img_pth='images')),
            "has .'img_pth'.: expected img_path",
        ),
    ],
)
def test_label_options_that_would_mislead(folder, options, message):
    with pytest.raises(UserError, match=message):
        build(folder, **options)


def test_leaf_datasets_of_wrappers(folder):
    part = build(folder)
    concat = DATASETS.build(dict(type='ConcatDataset', datasets=[part, part]))
    assert leaf_datasets(concat) == [part, part]
    assert leaf_datasets(DATASETS.build(dict(type='RepeatDataset', dataset=part, times=2))) == [
        part
    ]


def test_label_map_is_applied_at_load(folder):
    dataset = build(folder, label_map={0: 1, 1: 255})
    values = [dataset[i]['data_samples'].gt_sem_seg.data.unique().tolist() for i in range(3)]
    assert values == [[1], [1], [255]]  # files 3, x/1, x/2 hold 0, 0, 1


def test_raw_cityscapes_ids(folder):
    dataset = build(folder, type='CityscapesSpaceDataset', label_ids='cityscapes', metainfo=None)
    assert len(dataset.metainfo['classes']) == 19
    assert dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [255]  # raw id 0 is void


def test_camvid_layout(tmp_path):
    for kind, suffix in (('images', '.jpg'), ('labels', '.png')):
        path = tmp_path / kind / 'day_val' / f'f{suffix}'
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full((4, 6), 3, np.uint8))
    dataset = DATASETS.build(
        dict(
            type='CamVidDataset',
            domain='day',
            split='day_val',
            data_root=str(tmp_path),
            pipeline=PIPELINE,
        )
    )
    assert dataset.metainfo['classes'][3] == 'road'
    assert len(dataset.metainfo['palette']) == 11
    assert dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [3]


def test_miniscapes_is_drawn_once_and_is_a_mmseg_data_set(tmp_path):
    cfg = dict(
        type='MiniScapesDataset',
        domain='fog',
        split='val',
        count=3,
        size=(64, 32),
        data_root=str(tmp_path),
        pipeline=PIPELINE,
    )
    dataset = DATASETS.build(cfg)
    assert len(dataset) == 3
    sample = dataset[1]
    assert sample['inputs'].shape == (3, 32, 64)
    assert sample['data_samples'].domain == 'fog'
    assert set(sample['data_samples'].gt_sem_seg.data.unique().tolist()) <= {*range(19), 255}
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.png')}
    assert len(DATASETS.build({**cfg, 'count': 2})) == 2
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.png')} == written
    with pytest.raises(ValueError, match='fog'):
        DATASETS.build({**cfg, 'domain': 'fogg'})


def test_loaders_of_mmcv_and_mmseg_become_those_here(folder):
    theirs = [dict(type='LoadImageFromFile'), dict(type='mmseg.LoadAnnotations')]
    dataset = build(folder, pipeline=[*theirs, dict(type='PackDomainInputs')])
    names = [type(step).__name__ for step in dataset.pipeline.transforms]
    assert names == ['LoadDomainImage', 'LoadLabels', 'PackDomainInputs']
    wrong = dict(type='LoadImageFromFile', color_type='grayscale')
    with pytest.raises(UserError, match="color_type='grayscale'.*expected one of"):
        build(folder, pipeline=[wrong])
