"""Ids of street labels in another convention than declared are told, with the words to set."""

from collections import Counter

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.config.checks import check_labels
from rein_seg.datasets.camvid_space import CAMVID_CLASSES, CAMVID_LABEL_IDS
from rein_seg.datasets.cityscapes_space import CITYSCAPES_CLASSES, LABEL_IDS
from rein_seg.datasets.id_kinds import other_kind
from rein_seg.errors import UserError
from tests.real_streets import (
    CAMVID_IDS,
    STREETS,
    TRAIN_IDS,
    needs_streets,
    scene,
    write_pair,
    write_streets,
)
from tests.real_streets import (
    LABEL_IDS as AS_LABEL_IDS,
)

MAPILLARY = dict(sky=27, building=17, vegetation=30, pole=45, car=55, road=13, sidewalk=15, void=65)


def plus_one(ids):
    return {name: 0 if i == 255 else i + 1 for name, i in ids.items()}


CONTENT = {
    'cityscapes': AS_LABEL_IDS,
    'train': TRAIN_IDS,
    'camvid': CAMVID_IDS,
    'mapillary': MAPILLARY,
    'train + 1': plus_one(TRAIN_IDS),
    'camvid + 1': plus_one(CAMVID_IDS),
    'urbansyn': {**TRAIN_IDS, 'void': 19},
    'camvid, void 11': {**CAMVID_IDS, 'void': 11},
}
WRONG = [
    ('CityscapesSpaceDataset', declared, content, advice)
    for declared, content, advice in (
        ('train', 'urbansyn', "set label_ids='urbansyn' in"),
        ('train', 'cityscapes', "set label_ids='cityscapes' in"),
        ('cityscapes', 'train', "set label_ids='train' in"),
        ('train', 'camvid', '11 classes do not make 19'),
        ('cityscapes', 'camvid', '11 classes do not make 19'),
        ('train', 'mapillary', "set label_ids='mapillary' in"),
        ('mapillary', 'cityscapes', "set label_ids='cityscapes' in"),
        ('mapillary', 'train', "set label_ids='train' in"),
        ('cityscapes', 'mapillary', "set label_ids='mapillary' in"),
        ('train', 'train + 1', 'set label_map={0: 255, **{i + 1: i for i in range(19)}} in'),
    )
] + [
    ('CamVidSpaceDataset', declared, content, advice)
    for declared, content, advice in (
        ('camvid', 'cityscapes', "set label_ids='cityscapes' in"),
        ('camvid', 'train', "set label_ids='train' in"),
        ('train', 'camvid', "set label_ids='camvid' in"),
        ('cityscapes', 'camvid', "set label_ids='camvid' in"),
        ('cityscapes', 'train', "set label_ids='train' in"),
        ('camvid', 'camvid + 1', 'set label_map={0: 255, **{i + 1: i for i in range(11)}} in'),
    )
]  # fmt: skip


def build(root, kind, **options):
    return DATASETS.build(dict(type=kind, domain='d', data_root=str(root), pipeline=[], **options))


@pytest.mark.parametrize(('kind', 'declared', 'content', 'advice'), WRONG)
def test_each_wrong_convention_is_told(tmp_path, kind, declared, content, advice):
    write_pair(tmp_path / 'images/a.png', tmp_path / 'labels/a.png', CONTENT[content], 0)
    dataset = build(tmp_path, kind, label_ids=declared)
    with pytest.raises(UserError) as error:
        check_labels(dataset)
    text = str(error.value)
    assert 'labels/a.png' in text and 'they look like' in text and advice in text
    assert str(CONTENT[content]['road']) in text and '\n' not in text


@pytest.mark.parametrize(
    ('kind', 'declared'),
    [
        *(('CityscapesSpaceDataset', name) for name in ('cityscapes', 'train', 'mapillary')),
        *(('CamVidSpaceDataset', name) for name in ('cityscapes', 'train', 'mapillary', 'camvid')),
        ('CityscapesSpaceDataset', 'urbansyn'),
    ],
)
def test_right_ids_pass(tmp_path, kind, declared):
    write_pair(tmp_path / 'images/a.png', tmp_path / 'labels/a.png', CONTENT[declared], 0)
    car = 8 if kind == 'CamVidSpaceDataset' else 13
    assert check_labels(build(tmp_path, kind, label_ids=declared))[car] == 3 * 64


def test_the_advice_is_taken(tmp_path):
    """What the message says to set makes the data set right."""
    for i, content in enumerate(('train + 1', 'camvid, void 11')):
        root = tmp_path / str(i)
        write_pair(root / 'images/a.png', root / 'labels/a.png', CONTENT[content], 0)
        kind = 'CityscapesSpaceDataset' if content == 'train + 1' else 'CamVidSpaceDataset'
        word = 'train' if content == 'train + 1' else 'camvid'
        with pytest.raises(UserError) as error:
            check_labels(build(root, kind, label_ids=word))
        text = str(error.value).partition('set label_map=')[2].partition(' in the data set')[0]
        table = eval(text)  # noqa: S307  our own message
        check_labels(build(root, kind, label_map=table))
        assert table[CONTENT[content]['road']] == CONTENT[word]['road']


def test_a_layout_is_told_how_to_read_its_files(tmp_path):
    write_pair(
        tmp_path / 'bdd100k/images/10k/val/a.jpg',
        tmp_path / 'bdd100k/labels/sem_seg/masks/val/a.png',
        AS_LABEL_IDS,
        0,
    )
    options = dict(layout='bdd100k', split='val')
    with pytest.raises(UserError, match=r"set label_ids='cityscapes', seg_map_suffix='.png' in"):
        check_labels(build(tmp_path, 'CityscapesSpaceDataset', **options))
    options |= dict(label_ids='cityscapes', seg_map_suffix='.png')
    assert check_labels(build(tmp_path, 'CityscapesSpaceDataset', **options))[13] == 3 * 64


def test_a_data_set_of_its_own_type_is_told_too(tmp_path):
    write_pair(tmp_path / 'images/a.png', tmp_path / 'labels/a.png', CAMVID_IDS, 0)
    metainfo = dict(classes=CITYSCAPES_CLASSES)
    with pytest.raises(UserError, match='like the 11 classes of CamVid, but are read as class'):
        check_labels(build(tmp_path, 'DomainDataset', metainfo=metainfo))
    check_labels(build(tmp_path, 'DomainDataset', metainfo=dict(classes=[*'abcdefghijk'])))
    check_labels(build(tmp_path, 'DomainDataset', metainfo=metainfo, trust_ids=True))


def test_few_values_and_unusual_scenes_prove_nothing():
    info = dict(classes=CITYSCAPES_CLASSES, id_map=None, ignore_index=255)
    assert other_kind(info, {7: 60, 11: 40}) is None
    assert other_kind(info, dict.fromkeys(range(19), 10)) is None
    assert other_kind(info, {}) is None
    assert 'label_ids' in other_kind(info, {7: 60, 11: 40, 8: 10})


@needs_streets
@pytest.mark.parametrize(
    ('place', 'kind'),
    [
        ('kitti/labels', 'cityscapes'), ('kitti/labels_camvid11', 'camvid'),
        ('bdd_taste/labels', 'train'), ('bdd_taste/labels_camvid11', 'camvid'),
        ('camvid/labels', 'camvid'),
    ],
)  # fmt: skip
def test_real_labels_under_every_declaration(place, kind):
    """All labels of a real split together: told exactly where the declaration is wrong."""
    for folder in sorted((STREETS / place).iterdir()):
        raw = Counter()
        for path in sorted(folder.glob('*.png')):
            values = np.bincount(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel())
            raw.update({int(i): int(values[i]) for i in np.flatnonzero(values)})
        for classes, words in ((CITYSCAPES_CLASSES, LABEL_IDS), (CAMVID_CLASSES, CAMVID_LABEL_IDS)):
            for word in {'cityscapes', 'train', 'mapillary', 'camvid'} & words.keys():
                info = dict(classes=classes, id_map=words[word], ignore_index=255, label_ids=word)
                assert (other_kind(info, raw) is None) == (word == kind), (folder, word)


@needs_streets
def test_kitti_as_train_ids_stops_before_training():
    options = dict(layout='kitti', split='val', label_ids='train')
    with pytest.raises(UserError, match=r"0_10.png.*Cityscapes label ids.*ids='cityscapes'"):
        check_labels(build(STREETS, 'CityscapesSpaceDataset', **options))


def test_the_miniature_is_told_alike(tmp_path):
    write_streets(tmp_path)
    options = dict(layout='kitti', label_ids='train')
    with pytest.raises(UserError, match=r"_10.png.*Cityscapes label ids.*label_ids='cityscapes'"):
        check_labels(build(tmp_path, 'CityscapesSpaceDataset', **options))
    assert (scene(TRAIN_IDS) == 0).sum() == 9 * 64
