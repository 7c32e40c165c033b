"""COCO-Stuff 164k: raw and converted labels, the split of its classes, the data doctor."""

import zipfile

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.datasets import COCOStuffDataset
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.config.builtin import benchmarks
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.data_check import check_data, read_parts
from rein_seg.datasets import COCOStuff164kDataset
from rein_seg.datasets.coco_stuff import COCO_STUFF_LABEL_IDS
from rein_seg.datasets.transforms.labels import load_classes
from rein_seg.errors import UserError

CLASSES = COCOStuffDataset.METAINFO['classes']
# ids of the unseen classes in the published split: class index -> value of a downloaded label
UNSEEN = {19: 20, 23: 24, 28: 32}


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def root(tmp_path):
    """An image of each split, with raw labels: person, cow, the last class, unlabelled."""
    raw = np.tile(np.uint8([0, 20, 181, 255]), (600, 200))
    for split in ('train2017', 'val2017'):
        save(
            tmp_path / f'coco_stuff164k/images/{split}/1.jpg', np.full((600, 800, 3), 90, np.uint8)
        )
        save(tmp_path / f'coco_stuff164k/annotations/{split}/1.png', raw)
    return tmp_path


def classes_in(dataset):
    return sorted(set(load_classes(dataset.get_data_info(0)).ravel().tolist()))


def test_raw_ids():
    values = [v for k, v in COCO_STUFF_LABEL_IDS.items() if k != 255]
    assert values == list(range(171))
    assert max(k for k in COCO_STUFF_LABEL_IDS if k != 255) == 181
    assert {i: raw for raw, i in COCO_STUFF_LABEL_IDS.items() if i in UNSEEN} == UNSEEN
    for raw, name in ((0, 'person'), (89, 'toothbrush'), (91, 'banner'), (181, 'wood')):
        assert CLASSES[COCO_STUFF_LABEL_IDS[raw]] == name


def test_labels_as_downloaded(root):
    dataset = COCOStuff164kDataset('coco', split='val', data_root=str(root))
    assert classes_in(dataset) == [0, 19, 170, 255]
    assert dataset.expected_images == 5000


def test_converted_labels_are_taken_where_they_are(root):
    folder = root / 'coco_stuff164k/annotations/val2017'
    save(folder / '1_labelTrainIds.png', np.full((600, 800), 170, np.uint8))
    options = dict(split='val', data_root=str(root))
    assert classes_in(COCOStuff164kDataset('coco', **options)) == [170]
    assert classes_in(COCOStuff164kDataset('coco', label_ids='train', **options)) == [170]
    assert classes_in(COCOStuff164kDataset('coco', label_ids='raw', **options)) == [0, 19, 170, 255]


def test_the_zips_as_downloaded(root, tmp_path_factory):
    other = tmp_path_factory.mktemp('zipped')
    place = other / 'coco_stuff164k'
    place.mkdir()
    source = root / 'coco_stuff164k'
    with zipfile.ZipFile(place / 'val2017.zip', 'w') as file:
        file.write(source / 'images/val2017/1.jpg', 'val2017/1.jpg')
    with zipfile.ZipFile(place / 'stuffthingmaps_trainval2017.zip', 'w') as file:
        for split in ('train2017', 'val2017'):
            file.write(source / f'annotations/{split}/1.png', f'{split}/1.png')
    dataset = COCOStuff164kDataset('coco', split='val', data_root=str(other))
    assert classes_in(dataset) == [0, 19, 170, 255]


def test_mistakes(root):
    with pytest.raises(UserError, match=r"split='val2017'; did you mean 'val'"):
        COCOStuff164kDataset('coco', split='val2017')
    with pytest.raises(UserError, match=r"label_ids='ids': expected one of"):
        COCOStuff164kDataset('coco', split='val', label_ids='ids')
    with pytest.raises(UserError, match=r'needs .*1_labelTrainIds.png'):
        COCOStuff164kDataset('coco', split='val', label_ids='train', data_root=str(root))
    with pytest.raises(UserError, match='does not exist.*stuffthingmaps_trainval2017.zip'):
        COCOStuff164kDataset('coco', split='val', data_root=str(root / 'nowhere'))


def test_unseen_classes_of_the_published_split():
    unseen = benchmarks()['coco_stuff_156_15'].unseen
    assert [CLASSES.index(name) for name in unseen] == [
        19, 23, 28, 29, 36, 51, 76, 88, 94, 112, 133, 136, 137, 157, 160,
    ]  # fmt: skip


def test_training_hides_unseen_classes_and_the_test_keeps_them(root):
    content = benchmarks()['coco_stuff_156_15'].content()
    content = Config({**content, 'model': read('rein_resnet50_gtav').content.model})
    run = resolve(content, Request(options={'data_root': str(root)}))
    cfg = run.cfg
    assert (cfg.protocol, run.deviations.test) == ('zegclip512_coco', ())
    label = DATASETS.build(cfg.train_dataloader.dataset)[0]['data_samples'].gt_sem_seg.data
    assert set(label.unique().tolist()) == {0, 170, 255}  # cow is hidden
    tested = DATASETS.build(cfg.val_dataloader.dataset)[0]
    assert set(tested['data_samples'].gt_sem_seg.data.unique().tolist()) == {0, 19, 170, 255}
    assert tested['inputs'].shape[1:] == (512, 683)


def test_the_data_doctor_knows_it(root):
    parts = read_parts('coco_stuff_156_15', data_root=str(root))
    assert [part.expected for part in parts] == [118287, 5000]
    for check in check_data(parts, workers=1):
        (fault,) = check.faults
        assert 'has 1 images, expected are' in fault.message
