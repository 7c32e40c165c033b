"""Folders of own images, lists of them, and a few of each class."""

import numpy as np
import pytest
from PIL import Image

from rein_seg.datasets import ImageFolderDataset
from rein_seg.errors import UserError
from tests.datasets.images.downloads import picture, write


@pytest.fixture
def root(tmp_path):
    for name in ('big car/a.jpg', 'big car/b.PNG', 'van/deep/c.jpg', 'van/d.jpg', 'van/e.webp'):
        picture(tmp_path / name)
    write(tmp_path / 'van/notes.txt', 'no image')
    return tmp_path


def folder(root, **options):
    return ImageFolderDataset('own', data_root=str(root), **options)


def names(dataset):
    return [dataset.get_data_info(i)['name'] for i in range(len(dataset))]


def test_folders_are_classes_and_other_files_are_counted(root):
    dataset = folder(root)
    assert dataset.classes == ('big car', 'van')
    assert names(dataset) == [
        'big car/a.jpg', 'big car/b.PNG', 'van/d.jpg', 'van/deep/c.jpg', 'van/e.webp',
    ]  # fmt: skip
    assert dataset.labels().tolist() == [0, 0, 1, 1, 1]
    assert dataset.left_out == {'.txt': 1}


def test_a_split_is_a_sub_folder_and_classes_may_be_given_in_another_order(root):
    renamed = folder(root, metainfo=dict(classes=['auto', 'van']), folders={'auto': 'big car'})
    assert renamed.labels().tolist() == [0, 0, 1, 1, 1]
    picture(root / 'val/van/x.jpg')
    dataset = folder(root, split='val', metainfo=dict(classes=['van', 'big car']))
    assert names(dataset) == ['van/x.jpg']
    assert dataset.labels().tolist() == [0]


def test_lists_name_paths_with_and_without_classes(root):
    write(root / 'list.txt', 'big car/b.PNG\nvan/d.jpg\n')
    dataset = folder(root, ann_file='list.txt')
    assert names(dataset) == ['big car/b.PNG', 'van/d.jpg']
    assert dataset.labels().tolist() == [0, 1]
    write(root / 'list.txt', 'big car/b.PNG\tvan\nvan/d.jpg 0\nvan/e.webp,big car\n')
    assert folder(root, ann_file='list.txt').class_names() == ('0', 'big car', 'van')
    given = folder(root, ann_file='list.txt', metainfo=dict(classes=['van', 'big car']))
    assert given.labels().tolist() == [0, 0, 1]


def test_a_list_of_numbers_takes_the_folders_as_classes(root):
    write(root / 'list.txt', 'big car/a.jpg 0\nvan/d.jpg 1\n')
    assert folder(root, ann_file='list.txt').classes == ('big car', 'van')
    write(root / 'list.txt', 'big car/a.jpg 7\n')
    with pytest.raises(UserError, match='its classes have no names'):
        folder(root, ann_file='list.txt')


def test_labels_of_a_list_are_all_names_or_all_indexes(tmp_path):
    for name in ('1/a.jpg', '2/b.jpg', '3/c.jpg'):
        picture(tmp_path / name)
    write(tmp_path / 'list.txt', '1/a.jpg 0\n2/b.jpg 1\n3/c.jpg 2\n')
    assert folder(tmp_path, ann_file='list.txt').labels().tolist() == [0, 1, 2]
    write(tmp_path / 'list.txt', '1/a.jpg 1\n2/b.jpg 2\n3/c.jpg 3\n')
    named = folder(tmp_path, ann_file='list.txt', metainfo=dict(classes=['1', '2', '3']))
    assert named.labels().tolist() == [0, 1, 2]


@pytest.mark.parametrize('file', [None, 'notes.txt'])
def test_a_folder_without_images_is_no_class_and_is_refused(root, file):
    (root / 'tram').mkdir()
    (root / '.hidden').mkdir()
    if file is not None:
        write(root / 'tram' / file, 'no image')
    with pytest.raises(UserError, match=r"the folder 'tram' of .* has no image: expected images"):
        folder(root)
    assert len(folder(root, metainfo=dict(classes=['big car', 'van', 'tram']))) == 5


def test_parts_of_many_images_are_quick(tmp_path):
    dataset = folder(tmp_path, lazy_init=True, part='val', metainfo=dict(classes=['a', 'b']))
    dataset._files = {f'{kind}/{i:05d}.jpg': '' for kind in 'ab' for i in range(10000)}
    dataset.full_init()  # a sort for each image would take an hour
    assert len(dataset) == 2000
    assert dataset.labels().tolist() == [0] * 1000 + [1] * 1000


def test_parts_hold_out_images_of_each_class(root):
    options = dict(hold_out=2)
    train, val = (names(folder(root, part=part, **options)) for part in ('train', 'val'))
    assert val == ['big car/b.PNG', 'van/deep/c.jpg']
    assert sorted(train + val) == sorted(names(folder(root)))


def test_shots_are_the_same_wherever_the_folder_lies_and_nested(root, tmp_path_factory):
    other = tmp_path_factory.mktemp('elsewhere')
    for name in names(folder(root)):
        picture(other / name)
    for seed in (1, 2, 3):
        one, two = (folder(root, shots=k, shot_seed=seed) for k in (1, 2))
        assert names(one) == names(folder(other, shots=1, shot_seed=seed))
        assert np.bincount(two.labels()).tolist() == [2, 2]
        assert set(names(one)) < set(names(two))
    assert len({tuple(names(folder(root, shots=1, shot_seed=s))) for s in range(9)}) > 1
    assert names(folder(root, shots=1)) == ['big car/a.jpg', 'van/deep/c.jpg']  # for ever


def test_more_shots_than_images_name_class_and_count(root):
    with pytest.raises(UserError, match=r"shots=3, but the class 'big car' has 2 images"):
        folder(root, shots=3)
    with pytest.raises(UserError, match=r"the class 'bus' has 0 images"):
        folder(root, shots=1, metainfo=dict(classes=['big car', 'van', 'bus']))


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(metainfo=dict(classes=['van', 'bus'])), "the folder 'big car' of .* is no class"),
        (dict(metainfo=dict(classes=['van', 'van'])), "has 'van' twice"),
        (dict(split='test'), "test' does not exist"),
        (dict(ann_file='gone.txt'), 'ann_file .*gone.txt. does not exist'),
        (dict(part='test'), "part='test'; "),
        (dict(part='val', hold_out=1), 'hold_out=1: expected a whole number, 2 or more'),
        (dict(part='val', hold_out=2.5), 'hold_out=2.5: expected a whole number'),
        (dict(part='val', hold_out='x'), "hold_out='x': expected a whole number"),
        (dict(shots=0), 'shots=0: expected a whole number, at least 1'),
        (dict(shots=-1), 'shots=-1: expected a whole number, at least 1'),
        (dict(shots=True), 'shots=True: expected a whole number'),
        (dict(shots='4'), "shots='4': expected a whole number"),
        (dict(shots=1, shot_seed='a'), "shot_seed='a': expected a whole number"),
        (dict(metainfo=dict(classes=['all'])), "classes=.'all'.: expected names of two"),
    ],
)
def test_wrong_arguments_are_one_line(root, options, words):
    with pytest.raises(UserError, match=words) as error:
        folder(root, **options)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('van/z.jpg 1', "lists 'van/z.jpg', which is not there"),
        ('van/d.jpg bus', "gives 'van/d.jpg' the class 'bus'"),
        ('van/d.jpg 2', "gives 'van/d.jpg' the class '2'"),
        ('\n\n', 'lists no image'),
    ],
)
def test_wrong_lists_are_one_line(root, text, words):
    write(root / 'list.txt', text)
    with pytest.raises(UserError, match=words):
        folder(root, ann_file='list.txt', metainfo=dict(classes=['big car', 'van']))


def test_images_of_16_bits_and_turned_images_have_the_reader_of_all(tmp_path):
    picture(tmp_path / 'a/1.png')
    deep = np.full((8, 12), 0xFFFF, np.uint16)
    deep[0] = 0
    Image.fromarray(deep).save(tmp_path / 'a/deep.png')
    turned = Image.new('RGB', (12, 8))
    exif = turned.getexif()
    exif[274] = 6
    (tmp_path / 'b').mkdir()
    turned.save(tmp_path / 'b/turned.jpg', exif=exif)
    steps = [dict(type='mmcv.LoadImageFromFile'), dict(type='PackImageInputs')]
    dataset = folder(tmp_path, pipeline=steps)
    shapes = [tuple(dataset[i]['inputs'].shape) for i in range(3)]
    assert shapes == [(3, 24, 32), (3, 8, 12), (3, 12, 8)]
    assert dataset[1]['inputs'].max() == 255
    sample = dataset[2]['data_samples']
    assert (sample.domain, int(sample.gt_label), sample.ori_shape) == ('own', 1, (12, 8))
