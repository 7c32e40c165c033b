"""PASCAL VOC and PASCAL-Context: layouts, lists, ids, benchmarks, and the data doctor."""

import numpy as np
import pytest
from mmseg.datasets import PascalVOCDataset
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.config.builtin import benchmarks
from rein_seg.data_check import check_data, read_parts
from rein_seg.datasets import Context59Dataset, Context60Dataset, VOC20Dataset
from rein_seg.datasets.transforms.labels import load_classes
from rein_seg.errors import UserError

VOC, CONTEXT = 'VOCdevkit/VOC2012', 'VOCdevkit/VOC2010'
SIZE = (6, 8)


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(path)


def label(path, *ids):
    """A label of vertical stripes, with colours that are not the ids, as PASCAL has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.resize(np.uint8(ids), SIZE[1])[None].repeat(SIZE[0], 0)
    picture = Image.fromarray(raw, mode='P')
    picture.putpalette([255 - i // 3 for i in range(768)])
    picture.save(path)


def listed(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(names))


@pytest.fixture
def voc(tmp_path):
    """Three images: one of train, one that SBD alone labels, one of val."""
    root = tmp_path / VOC
    for name in ('train_a', 'sbd_b', 'val_c'):
        image(root / f'JPEGImages/{name}.jpg')
    label(root / 'SegmentationClass/train_a.png', 0, 1, 255)
    label(root / 'SegmentationClass/val_c.png', 0, 20, 255)
    label(root / 'SegmentationClassAug/train_a.png', 0, 2)
    label(root / 'SegmentationClassAug/sbd_b.png', 0, 16)
    listed(root / 'ImageSets/Segmentation/train.txt', 'train_a')
    listed(root / 'ImageSets/Segmentation/val.txt', 'val_c')
    return tmp_path


def found(dataset):
    """Returns name -> class indexes of each sample."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {
        info['img_path'].rpartition('/')[2]: sorted(set(load_classes(info).ravel().tolist()))
        for info in infos
    }


def test_the_classes_are_mmsegs_without_the_background():
    theirs = PascalVOCDataset.METAINFO
    assert VOC20Dataset.METAINFO['classes'] == theirs['classes'][1:]
    assert VOC20Dataset.METAINFO['palette'][0] == theirs['palette'][1]
    assert VOC20Dataset.METAINFO['classes'][15:] == (
        'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor',
    )  # fmt: skip


def test_background_and_borders_are_ignored(voc):
    for split, expected in (
        ('val', {'val_c.jpg': [19, 255]}),
        ('train', {'train_a.jpg': [0, 255]}),
    ):
        assert found(VOC20Dataset('voc', split=split, data_root=str(voc))) == expected


@pytest.mark.parametrize('name', ['trainaug', 'train_aug'])
def test_one_list_of_all_training_images(voc, name):
    listed(voc / VOC / f'ImageSets/Segmentation/{name}.txt', 'train_a', 'sbd_b')
    dataset = VOC20Dataset('voc', split='train_aug', data_root=str(voc))
    assert found(dataset) == {'sbd_b.jpg': [15, 255], 'train_a.jpg': [1, 255]}


def test_the_lists_of_mmsegs_converter(voc):
    listed(voc / VOC / 'ImageSets/Segmentation/aug.txt', 'sbd_b')
    # its other list, with images that have official labels alone
    listed(voc / VOC / 'ImageSets/Segmentation/trainaug.txt', 'train_a', 'sbd_b')
    (voc / VOC / 'SegmentationClassAug/train_a.png').unlink()
    dataset = VOC20Dataset('voc', split='train_aug', data_root=str(voc))
    # train.txt has the official labels
    assert found(dataset) == {'sbd_b.jpg': [15, 255], 'train_a.jpg': [0, 255]}


def test_what_is_missing_is_named(voc, tmp_path):
    with pytest.raises(UserError, match=r'no images of split train_aug.*aug.txt.*voc_aug.py'):
        VOC20Dataset('voc', split='train_aug', data_root=str(voc))
    with pytest.raises(UserError, match=r'JPEGImages.*does not exist.*VOCtrainval_11-May-2012'):
        VOC20Dataset('voc', split='val', data_root=str(tmp_path / 'nowhere'))
    for kind in (VOC20Dataset, Context59Dataset):
        with pytest.raises(UserError, match=r"split='valid'; did you mean 'val'"):
            kind('a', split='valid')


def test_context(tmp_path):
    root = tmp_path / CONTEXT
    image(root / 'JPEGImages/a.jpg')
    label(root / 'SegmentationClassContext/a.png', 0, 1, 59)
    listed(root / 'ImageSets/SegmentationContext/val.txt', 'a')
    few = Context59Dataset('a', split='val', data_root=str(tmp_path))
    every = Context60Dataset('a', split='val', data_root=str(tmp_path))
    assert (found(few), found(every)) == ({'a.jpg': [0, 58, 255]}, {'a.jpg': [0, 1, 59]})
    assert (few.expected_images, every.expected_images) == (5105, 5105)
    names = [kind.METAINFO['classes'][-1] for kind in (Context59Dataset, Context60Dataset)]
    assert names == ['wood', 'wood']


def test_the_data_doctor_knows_the_split(voc):
    listed(voc / VOC / 'ImageSets/Segmentation/aug.txt', 'sbd_b')
    parts = read_parts('voc20_15_5', data_root=str(voc))
    assert [(part.name, part.expected) for part in parts] == [
        ('train/voc20_train', 10582),
        ('val/voc20', 1449),
    ]
    train, val = check_data(parts, workers=1)
    assert [check.found for check in (train, val)] == [2, 1]
    assert set(val.total('raw')) == {0, 20, 255}
    assert [len(check.faults) for check in (train, val)] == [1, 1]  # the numbers


def test_benchmarks():
    split, full = benchmarks()['voc20_15_5'], benchmarks()['voc20']
    classes = VOC20Dataset.METAINFO['classes']
    assert [classes.index(name) for name in split.unseen] == [15, 16, 17, 18, 19]
    assert split.metric_node('test') == {'type': 'SeenUnseenIoU', 'targets': ['voc20']}
    assert full.unseen == ()
    assert full.metric_node('test')['unseen'] == list(split.unseen)
    for name, kind in (('voc20', DATASETS.get('VOC20Dataset')), ('context59', Context59Dataset),
                       ('context60', Context60Dataset)):  # fmt: skip
        other = benchmarks()[f'coco_stuff_to_{name}']
        assert [(d.name, d.type) for d in other.domains('test')] == [(name, kind.__name__)]
        assert (other.num_classes, other.source, other.unseen) == (171, 'coco_stuff', ())
