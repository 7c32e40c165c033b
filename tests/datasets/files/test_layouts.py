"""Each data set as downloaded: loader -> mapping -> metric, with IoU computed by hand."""

import dataclasses
import zipfile

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.config.checks import check_labels
from rein_seg.datasets.cityscapes_space import LABEL_IDS, SYNTHIA_CLASSES
from rein_seg.datasets.files.layouts import LAYOUTS
from rein_seg.errors import UserError
from tests.datasets.files.by_hand import CLASSES, check_by_hand, score
from tests.datasets.trees import GTAV, TREES

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]


def build(root, options, **more):
    return DATASETS.build(
        {
            'type': 'CityscapesSpaceDataset',
            'domain': 'd',
            'data_root': str(root),
            'pipeline': PIPELINE,
            **options,
            **more,
        }
    )


@pytest.mark.parametrize('name', TREES)
def test_iou_by_hand(name, tmp_path):
    tree = TREES[name]
    tree.write(tmp_path, numbers=(1, 2))
    check_by_hand(score(build(tmp_path, tree.options)), 2)


@pytest.mark.parametrize('inner', ['', '01_images/'])
@pytest.mark.parametrize('num_workers', [0, 2])
def test_gtav_straight_from_its_zips(tmp_path, num_workers, inner):
    GTAV.write_zips(tmp_path, {'01': (1, 2, 3), '02': (2501, 2502)}, inner)
    dataset = build(tmp_path, GTAV.options)
    assert [dataset.get_data_info(i)['img_path'][-9:] for i in (0, 4)] == ['00001.png', '02502.png']
    dataset[0]  # the parent has read before its workers start
    check_by_hand(score(dataset, num_workers), 5)


def test_unpacked_files_come_before_zips(tmp_path):
    GTAV.write_zips(tmp_path, {'01': (1,)})
    GTAV.write(tmp_path, numbers=(7,))
    assert build(tmp_path, GTAV.options).get_data_info(0)['img_path'].endswith('images/00007.png')


def test_any_folder_may_be_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / 'val.zip', 'w') as file:
        for name, data in TREES['cityscapes'].files().items():
            file.writestr(name, data)
    folder = 'val.zip/cityscapes/{}/val'
    prefix = dict(img_path=folder.format('leftImg8bit'), seg_map_path=folder.format('gtFine'))
    check_by_hand(score(build(tmp_path, TREES['cityscapes'].options, data_prefix=prefix)), 1)


def test_zips_that_are_not_there_not_whole_or_not_pairs(tmp_path):
    with pytest.raises(
        UserError, match=r"images '.*gta/images' does not exist \(nor '.*images.zip"
    ):
        build(tmp_path, GTAV.options)
    GTAV.write_zips(tmp_path, {'01': (1, 2), '02': (3,)})
    (tmp_path / 'gta/02_labels.zip').rename(tmp_path / 'gta/02_labels.zip.part')
    with pytest.raises(UserError, match=r"1 of 3 images have no label; first: 'zip://.*00003.png"):
        build(tmp_path, GTAV.options)
    part = (tmp_path / 'gta/02_labels.zip.part').read_bytes()
    (tmp_path / 'gta/02_labels.zip').write_bytes(part[:-30])
    with pytest.raises(UserError, match=r"zip '.*02_labels.zip' cannot be read.*download it again"):
        build(tmp_path, GTAV.options)


def test_a_damaged_member_is_named(tmp_path):
    GTAV.write_zips(tmp_path, {'01': (2,)})
    path = tmp_path / 'gta/01_labels.zip'
    data = bytearray(path.read_bytes())
    at = data.index(b'IDAT') + 8
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"'labels/00002.png' of zip .* is damaged \(checksum\)"):
        score(build(tmp_path, GTAV.options))


@pytest.mark.parametrize('zipped', [False, True])
@pytest.mark.parametrize('policy', ['error', 'skip', 'resize', 'keep'])
def test_labels_of_another_size(tmp_path, policy, zipped):
    """Label 2 is twice as large as its image; columns stay columns."""
    if zipped:
        GTAV.write_zips(tmp_path, {'01': (1, 2)})
        place = 'zip://' + str(tmp_path / 'gta/01_labels.zip/labels/00002.png')
        with zipfile.ZipFile(tmp_path / 'gta/01_labels.zip', 'w') as file:
            for number in (1, 2):
                file.writestr(f'labels/0000{number}.png', label(number))
    else:
        GTAV.write(tmp_path, numbers=(1, 2))
        place = str(tmp_path / 'gta/labels/00002.png')
        (tmp_path / 'gta/labels/00002.png').write_bytes(label(2))
    dataset = build(tmp_path, GTAV.options, wrong_size=policy)
    if policy in ('skip', 'resize'):
        check_by_hand(score(dataset), 1 if policy == 'skip' else 2)
    elif policy == 'error':
        with pytest.raises(UserError, match=rf"label '{place}' is \(8, 12\).*\(4, 6\).*'resize'"):
            score(dataset)
    else:
        assert dataset[1]['data_samples'].gt_sem_seg.data.shape == (1, 8, 12)


def label(number):
    raw = np.array(GTAV.ids)[np.tile([0, 0, 0, 1, 1, 2], (4, 1))].astype(np.uint8)
    return GTAV.encode(raw.repeat(number, 0).repeat(number, 1))


def test_gtav_takes_all_images_resizing_labels():
    assert LAYOUTS['gtav'].wrong_size == 'resize'
    assert {name: row.wrong_size for name, row in LAYOUTS.items() if name != 'gtav'} == (
        dict.fromkeys(LAYOUTS.keys() - {'gtav'}, 'error')
    )


def test_damaged_labels_are_named_and_can_be_skipped(tmp_path):
    tree = TREES['synthia']
    tree.write(tmp_path, numbers=(1, 2, 3))
    path = tmp_path / 'synthia/GT/LABELS/0000002.png'
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=rf"label '{path}' cannot be read.*skip=\[NAME"):
        score(build(tmp_path, tree.options))
    check_by_hand(score(build(tmp_path, tree.options, skip=['0000002'])), 2)
    (tmp_path / 'bad.txt').write_text('synthia/RGB/0000002.png\n')
    check_by_hand(score(build(tmp_path, tree.options, skip='bad.txt')), 2)
    with pytest.raises(UserError, match="skip names 1 images that are not there; first: '9'"):
        build(tmp_path, tree.options, skip=['9', '0000001'])
    with pytest.raises(UserError, match='all 3 images are left out'):
        build(tmp_path, tree.options, skip=['0000001', '0000002', '0000003'])


def test_a_label_of_synthia_with_one_channel_is_refused(tmp_path):
    tree = TREES['synthia']
    tree.write(tmp_path)
    cv2.imwrite(str(tmp_path / 'synthia/GT/LABELS/0000001.png'), np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match="one channel.*label_ids='train'"):
        build(tmp_path, tree.options)[0]


def test_synthia_has_16_classes():
    assert set(CLASSES) - set(SYNTHIA_CLASSES) == {'terrain', 'truck', 'train'}
    wanted = {
        3: 'road', 4: 'sidewalk', 2: 'building', 21: 'wall', 5: 'fence', 7: 'pole',
        15: 'traffic light', 9: 'traffic sign', 6: 'vegetation', 1: 'sky', 10: 'person',
        17: 'rider', 8: 'car', 19: 'bus', 12: 'motorcycle', 11: 'bicycle',
    }  # fmt: skip
    ids = {raw: CLASSES[index] for raw, index in LABEL_IDS['synthia'].items() if index != 255}
    assert ids == wanted


def test_mapillary_v2_ids_by_name():
    found = {}
    from rein_seg.datasets.mapillary import MAPILLARY_CLASSES, MAPILLARY_V2_CLASSES

    for name, cls in MAPILLARY_V2_CLASSES:
        found.setdefault(cls, []).append(name)
    old = dict(MAPILLARY_CLASSES)
    # every class of v1.2 that v2.0 still has by name is what it was
    assert all(cls == old[name] for name, cls in MAPILLARY_V2_CLASSES if name in old)
    assert set(found) - {None} == set(CLASSES)
    assert sum(name.startswith('Lane Marking') for name in found['road']) == 23
    assert len(LABEL_IDS['mapillary_v2']) == 124


def test_images_without_labels(tmp_path):
    for name in ('acdc', 'acdc in raw ids'):
        TREES[name].write(tmp_path)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackDomainInputs')]
    dataset = build(tmp_path, TREES['acdc'].options, labelled=False, pipeline=pipeline)
    sample = dataset[0]['data_samples']
    assert (len(dataset), sample.domain, 'gt_sem_seg' in sample) == (1, 'd', False)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(layout='gta'), "layout='gta'; did you mean 'gtav'"),
        (dict(layout='cityscapes'), "layout 'cityscapes': split=''; known: 'train', 'val'"),
        (dict(layout='acdc', split='nite/val'), "did you mean 'night/val'"),
        (dict(layout='bdd100k', split='val', label_ids='cityscapes'), "known: 'train'"),
        (dict(split='val'), 'has no effect without a layout'),
        (dict(wrong_size='rezise'), "wrong_size='rezise'; did you mean 'resize'"),
    ],
)
def test_what_is_not_known(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        build(tmp_path, options)


def test_class_indexes_where_raw_ids_are_expected_are_told(tmp_path):
    tree = dataclasses.replace(GTAV, ids=(0, 13, 255))
    tree.write(tmp_path, numbers=(1, 2))
    with pytest.raises(UserError, match=r'hold the ids \[0, 13, 255\], and 24 of 40 pixels'):
        check_labels(build(tmp_path, GTAV.options))
    check_labels(build(tmp_path, GTAV.options, label_ids='train'))


def test_zips_below_a_folder_with_brackets(tmp_path):
    root = tmp_path / 'data[1]'
    GTAV.write_zips(root, {'01': (1, 2)})
    assert len(build(root, GTAV.options)) == 2


def test_a_zip_of_another_version_is_named(tmp_path):
    GTAV.write_zips(tmp_path, {'01': (1,)})
    path = tmp_path / 'gta/01_images.zip'
    data = bytearray(path.read_bytes())
    data[data.rindex(b'PK\x01\x02') + 6] = 99
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"zip .*01_images.zip' cannot be read: .*version 9.9"):
        build(tmp_path, GTAV.options)
