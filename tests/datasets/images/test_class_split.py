"""Tests of CUB-200, Cars-196 and Aircraft in their layouts, and of class-disjoint parts."""

import shutil

import pytest
from mmseg.registry import DATASETS

from rein_seg.datasets import AircraftDataset, Cars196Dataset, CUB200Dataset
from rein_seg.datasets.images.class_split import PARTS
from rein_seg.errors import UserError
from tests.datasets.images import trees

PIPELINE = [dict(type='LoadDomainImage'), dict(type='PackImageInputs')]
TREES = {
    'cub': (CUB200Dataset, trees.cub),
    'cars, one file': (Cars196Dataset, trees.cars_in_one),
    'cars, torchvision': (Cars196Dataset, trees.cars_of_torchvision),
    'aircraft': (AircraftDataset, trees.aircraft),
}
CLASSES = {
    'cub': tuple(f'Black footed Bird {k}' for k in range(4)),
    'cars, one file': tuple(trees.CAR_NAMES),
    'cars, torchvision': tuple(trees.CAR_NAMES),
    'aircraft': ('707-320', 'Boeing 717', 'Tu-154', 'Yak-42'),
}
every = pytest.mark.parametrize('name', TREES)


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Builds a data set of a faked tree, whose first two classes are for training."""

    def make(name, folder='data', **options):
        cls, write = TREES[name]
        monkeypatch.setattr(cls, 'first_classes', 2)
        root = tmp_path / folder
        if not root.exists():
            root.mkdir()
            write(root)
        return cls('birds', **{'data_root': str(root), 'pipeline': PIPELINE, **options})

    return make


@every
def test_all_classes(build, name):
    dataset = build(name)
    assert dataset.classes == CLASSES[name]
    assert sorted(set(dataset.labels().tolist())) == list(range(len(CLASSES[name])))
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 8, 12)
    assert int(sample['data_samples'].gt_label) == dataset.labels()[0]
    assert sample['data_samples'].domain == 'birds'


@every
def test_parts_share_no_class_and_no_image(build, name):
    first, last = (build(name, part=part) for part in PARTS)
    assert first.classes + last.classes == CLASSES[name]
    assert len(first.classes) == 2
    for dataset in (first, last):
        assert set(dataset.labels().tolist()) == set(range(len(dataset.classes)))
    images = [
        {one['img_path'] for one in map(d.get_data_info, range(len(d)))} for d in (first, last)
    ]
    assert not images[0] & images[1]
    assert sum(map(len, images)) == len(build(name))


@every
def test_splits_share_every_class(build, name):
    datasets = [build(name, split=split) for split in TREES[name][0].splits]
    assert all(dataset.classes == CLASSES[name] for dataset in datasets)
    assert all(set(d.labels().tolist()) == set(range(len(CLASSES[name]))) for d in datasets)
    assert sum(map(len, datasets)) == len(build(name))
    assert len(build(name, split=list(TREES[name][0].splits))) == len(build(name))


@every
def test_the_folder_above_is_found_too(build, name, tmp_path):
    folder = {'cub': 'CUB_200_2011', 'aircraft': 'fgvc-aircraft-2013b'}.get(name, 'stanford_cars')
    inside = build(name, folder=folder)
    assert len(build(name, folder=folder, data_root=str(tmp_path))) == len(inside)


def test_labels_of_images(build):
    dataset = build('cub', part='test_classes')
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    found = [(one['name'].split('/')[1].partition('.')[0], one['gt_label']) for one in infos]
    assert found == [('003', 0)] * 3 + [('004', 1)] * 3


def test_published_parts():
    assert [cls.first_classes for cls in (CUB200Dataset, Cars196Dataset, AircraftDataset)] == [
        100,
        98,
        50,
    ]


@every
@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(part='train'), "part='train'.*train_classes"),
        (dict(split='tset'), "split='tset'.*test"),
        (dict(data_root='/nowhere'), 'does not exist: expected the data as downloaded'),
    ],
)
def test_bad_options(build, name, options, words):
    with pytest.raises(UserError, match=words):
        build(name, **options)


@every
def test_an_image_that_is_not_there(build, name, tmp_path):
    build(name)
    next((tmp_path / 'data').rglob('*.jpg')).unlink()
    with pytest.raises(UserError, match='0 more images of the lists are not below'):
        build(name)


def test_damaged_lists(build, tmp_path):
    build('cub')
    labels = tmp_path / 'data/image_class_labels.txt'
    text = labels.read_text()
    labels.write_text(text.replace('1 1\n', '1 9\n', 1))
    with pytest.raises(UserError, match='has class 9 in the lists, expected 1 to 4'):
        build('cub')
    labels.write_text('\n'.join(text.splitlines()[:-1]))
    with pytest.raises(UserError, match='image 12 of images.txt is in no row'):
        build('cub')


def test_a_variant_that_is_not_listed(build, tmp_path):
    build('aircraft')
    (tmp_path / 'data/data/images_variant_val.txt').write_text('1000000 Boeing 718\n')
    with pytest.raises(UserError, match="'Boeing 718', which variants.txt lacks.*Boeing 717"):
        build('aircraft')


def test_a_damaged_mat_file(build, tmp_path):
    build('cars, one file')
    (tmp_path / 'data/cars_annos.mat').write_bytes(b'<html>not found</html>' * 20)
    with pytest.raises(UserError, match='cars_annos.mat.*cannot be read'):
        build('cars, one file')


def test_labels_of_the_test_images_are_needed(build, tmp_path):
    build('cars, torchvision')
    (tmp_path / 'data/cars_test_annos_withlabels.mat').unlink()
    with pytest.raises(UserError, match='cars_test_annos_withlabels.mat.*does not exist'):
        build('cars, torchvision')


def test_it_is_built_by_name(tmp_path):
    root = trees.cub(tmp_path / 'birds', classes=3)
    shutil.rmtree(root / 'images/001.Black_footed_Bird_0')
    config = dict(type='CUB200Dataset', domain='cub', data_root=str(root), pipeline=PIPELINE)
    with pytest.raises(UserError, match='2 more images'):
        DATASETS.build(config)
