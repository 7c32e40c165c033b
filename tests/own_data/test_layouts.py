"""A folder of images and labels in the usual layouts becomes a data file that trains."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from mmseg.registry import DATASETS

from rein_seg.config.data_file import read_benchmark
from rein_seg.errors import UserError
from rein_seg.own_data import init_data
from tests.own_data.made import pairs, photo, save, stripes


def images_of(file) -> dict[str, list[str]]:
    """Returns DOMAIN/USE -> names of the images that a run reads, sorted."""
    own = read_benchmark(str(file))
    found = {}
    for use in ('train', 'val'):
        for domain in own.domains(use):
            dataset = DATASETS.build({**domain.node, 'data_root': own.data_root})
            names = [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))]
            found[f'{domain.name}/{use}'] = sorted(names)
    return found


LAYOUTS = {
    'kinds above splits': ('images/{split}', 'labels/{split}'),
    'splits above kinds': ('{split}/images', '{split}/masks'),
    'annotations': ('img/{split}', 'annotations/{split}'),
    'words of splits': ('images/{split}ing', 'gt/{split}ing'),
    'split with the kind': ('{split}_images', '{split}_labels'),
    'one word': ('{split}', '{split}annot'),
    'sub-folders': ('leftImg8bit/{split}/town', 'gtFine/{split}/town'),
}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_splits_by_folders(tmp_path, layout):
    images, labels = LAYOUTS[layout]
    for split, prefix in (('train', 'a'), ('valid' if 'ing' in images else 'val', 'b')):
        places = (place.format(split=split) for place in (images, labels))
        pairs(tmp_path, *(place.replace('validing', 'valid') for place in places), prefix=prefix)
    done = init_data(tmp_path, name='town')
    found = images_of(done.file)
    assert found == {'town/train': ['a0', 'a1', 'a2'], 'town/val': ['b0', 'b1', 'b2']}
    assert done.skipped == {}
    assert list(yaml.safe_load(done.file.read_text())['classes'].values()) == [
        'class_0', 'class_1', 'class_2',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('images', 'labels'),
    [('day_{s}/images', 'day_{s}/labels'), ('day/{s}/images', 'day/{s}/labels'),
     ('images/day_{s}', 'labels/day_{s}'), ('{s}/day/images', '{s}/day/labels')],
)  # fmt: skip
def test_domains_become_source_and_target(tmp_path, images, labels):
    for split in ('train', 'val'):
        pairs(tmp_path, images.format(s=split), labels.format(s=split), prefix=split)
    dusk = images.replace('day', 'dusk').format(s='test'), labels.replace('day', 'dusk')
    pairs(tmp_path, dusk[0], dusk[1].format(s='test'), prefix='x')
    found = images_of(init_data(tmp_path).file)
    assert list(found) == ['day/train', 'day/val', 'dusk/val']
    assert found['dusk/val'] == ['x0', 'x1', 'x2']


def test_top_folders_are_domains_and_the_largest_trains(tmp_path):
    pairs(tmp_path, 'dusk/images', 'dusk/labels')
    pairs(tmp_path, 'day/images', 'day/labels', number=10)
    found = images_of(init_data(tmp_path).file)
    assert {key: len(names) for key, names in found.items()} == {
        'day/train': 8, 'day/val': 2, 'dusk/val': 3,
    }  # fmt: skip
    other = init_data(tmp_path, out=tmp_path / 'other.yaml', source='dusk')
    assert list(images_of(other.file)) == ['dusk/train', 'dusk/val', 'day/val']


def test_labels_beside_their_images(tmp_path):
    for i in range(6):
        label = stripes(*np.roll([0, 1, 2], i))
        save(tmp_path / f'leaf {i}a.jpg', photo(label))
        save(tmp_path / f'leaf {i}a_mask.png', label)
    done = init_data(tmp_path)
    assert len(images_of(done.file)[f'{tmp_path.name}/train']) == 5
    assert yaml.safe_load(done.file.read_text())['domains'][tmp_path.name]['label_suffix'] in (
        '_mask.png',
    )


def test_names_alone_do_not_tell_labels(tmp_path):
    for i, folder in enumerate(('left', 'right')):
        for number in range(5):
            label = stripes(0, 1, 2)
            save(tmp_path / f'{folder}/{number}.png', photo(label) if i else label)
    assert yaml.safe_load(init_data(tmp_path).file.read_text())['domains'][tmp_path.name] == {
        'images': 'right', 'labels': 'left', 'split': {'val': 0.2, 'by': 'tail', 'seed': 0},
    }  # fmt: skip


def test_splits_of_the_labels_alone(tmp_path):
    for split, prefix in (('train', 'a'), ('val', 'b')):
        pairs(tmp_path, 'images', f'labels/{split}', prefix=prefix)
    found = images_of(init_data(tmp_path, name='town').file)
    assert found == {'town/train': ['a0', 'a1', 'a2'], 'town/val': ['b0', 'b1', 'b2']}


def test_prefixes_go_through_a_csv(tmp_path):
    for i in range(5):
        label = stripes(0, 1, 2)
        save(tmp_path / f'data/image_{i}.png', photo(label))
        save(tmp_path / f'data/mask_{i}.png', label)
    file = init_data(tmp_path).file
    assert sum(map(len, images_of(file).values())) == 5


def test_lists_of_names_are_splits(tmp_path):
    pairs(tmp_path, 'JPEGImages', 'SegmentationClass', number=6)
    save(tmp_path / 'JPEGImages/unlabelled.png', photo(stripes(0, 1)))
    lists = tmp_path / 'ImageSets/Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('0\n1\n2\n3\n')
    (lists / 'val.txt').write_text('4\n5\n')
    done = init_data(tmp_path, name='voc')
    assert images_of(done.file) == {'voc/train': ['0', '1', '2', '3'], 'voc/val': ['4', '5']}
    assert done.skipped == {'JPEGImages/unlabelled.png': 'image with no label'}


def test_unmatched_and_damaged_files_are_named_and_left_out(tmp_path):
    pairs(tmp_path, 'images', 'labels', number=10)
    (tmp_path / 'labels/3.png').unlink()
    (tmp_path / 'images/4.png').unlink()
    (tmp_path / 'labels/5.png').write_bytes(b'no picture')
    save(tmp_path / 'labels/6.png', stripes(0, 1, size=(8, 8)))
    done = init_data(tmp_path)
    names = [name for names in images_of(done.file).values() for name in names]
    assert sorted(names) == ['0', '1', '2', '7', '8', '9']
    assert done.skipped['images/3.png'] == 'image with no label'
    assert done.skipped['labels/4.png'] == 'label without an image'
    assert 'labels/5.png' in done.skipped['images/5.png']
    assert 'two sizes' in done.skipped['images/6.png']


def test_frames_of_a_video_stay_together_and_the_split_is_stable(tmp_path):
    for video in ('0001TP_', '0006R0_f0', '0016E5_0', 'Seq05VD_f', 'x_'):
        pairs(tmp_path, 'images', 'labels', number=4, prefix=video)
    file = init_data(tmp_path, name='town').file
    found = images_of(file)
    videos = {key: {name.partition('_')[0] for name in names} for key, names in found.items()}
    assert not videos['town/train'] & videos['town/val']
    assert len(videos['town/val']) == 1
    file.unlink()
    assert images_of(init_data(tmp_path, name='town').file) == found


def test_an_existing_file_is_never_overwritten(tmp_path):
    pairs(tmp_path, 'images', 'labels', number=4)
    (tmp_path / 'data.yaml').write_text('mine')
    with pytest.raises(UserError, match=r"data\.yaml' exists and is never overwritten.*--out"):
        init_data(tmp_path)
    assert (tmp_path / 'data.yaml').read_text() == 'mine'
    elsewhere = tmp_path / 'configs'
    elsewhere.mkdir()
    file = init_data(tmp_path, out=elsewhere / 'town.yaml').file
    assert sum(map(len, images_of(file).values())) == 4
    assert yaml.safe_load(file.read_text())['root'] == '..'


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        ([], 'holds no picture'),
        (['images/a.png'], 'none looks like a label'),
        (['images/a.png', 'labels/b.png'], 'no image has a label of its name'),
    ],
)
def test_folders_that_hold_no_pairs(tmp_path, names, words):
    for name in names:
        save(tmp_path / name, np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    with pytest.raises(UserError, match=words):
        init_data(tmp_path)
    with pytest.raises(UserError, match='does not exist'):
        init_data(tmp_path / 'none')


def test_lists_with_paths_tell_images_of_one_name(tmp_path):
    for folder in ('seq1', 'seq2'):
        pairs(tmp_path, f'images/{folder}', f'labels/{folder}')
    (tmp_path / 'train.txt').write_text('seq1/0.png\nseq1/1.png\nseq1/2\n')
    (tmp_path / 'val.txt').write_text('/data/images/seq2/0.png\nseq2/1.png\n')
    done = init_data(tmp_path, name='town')
    own = read_benchmark(str(done.file))
    for use, folder, number in (('train', 'seq1', 3), ('val', 'seq2', 2)):
        dataset = DATASETS.build({**own.domains(use)[0].node, 'data_root': own.data_root})
        paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        assert [Path(path).parent.name for path in paths] == [folder] * number
    assert list(done.skipped) == ['images/seq2/2.png']


@pytest.mark.parametrize(
    ('train', 'val', 'words'),
    [
        ('seq1/0.png\nseq1/1.png', 'seq1/1.png', r'images/seq1/1.png is in train.txt and in val'),
        ('0\n1', '2', 'names that several images have'),
    ],
)
def test_lists_that_do_not_tell_splits(tmp_path, train, val, words):
    for folder in ('seq1', 'seq2'):
        pairs(tmp_path, f'images/{folder}', f'labels/{folder}')
    (tmp_path / 'train.txt').write_text(train)
    (tmp_path / 'val.txt').write_text(val)
    with pytest.raises(UserError, match=words):
        init_data(tmp_path)
    assert not (tmp_path / 'data.yaml').exists()


def test_images_beside_a_split_train_or_are_named(tmp_path):
    pairs(tmp_path, 'images', 'labels', number=10)
    pairs(tmp_path, 'images/test', 'labels/test', prefix='t')
    done = init_data(tmp_path, name='town')
    assert {key: len(names) for key, names in images_of(done.file).items()} == {
        'town/train': 8, 'town/val': 2,
    }  # fmt: skip
    assert {'train', 'test'} <= set(yaml.safe_load(done.file.read_text())['domains']['town'])
    pairs(tmp_path, 'images/train', 'labels/train', prefix='a')
    pairs(tmp_path, 'images/val', 'labels/val', prefix='b')
    done = init_data(tmp_path, name='town', out=tmp_path / 'b.yaml')
    assert images_of(done.file) == {
        'town/train': ['a0', 'a1', 'a2'],
        'town/val': ['b0', 'b1', 'b2'],
    }
    assert len(done.skipped) == 10
    assert done.skipped['images/0.png'] == 'image without a split, beside test and train and val'


def test_a_file_that_no_run_reads_is_not_written(tmp_path):
    pairs(tmp_path, 'day/images', 'day/labels', number=10)
    pairs(tmp_path, 'mean/images', 'mean/labels')
    with pytest.raises(UserError, match=r'none is written.*domains\.mean'):
        init_data(tmp_path)
    assert not (tmp_path / 'data.yaml').exists()


@pytest.mark.parametrize('form', ['{0}/town', '{0}/a/../town', '{0}/link', 'a/../town', 'town'])
def test_any_path_of_the_folder(tmp_path, form, monkeypatch):
    pairs(tmp_path, 'town/images', 'town/labels', number=4)
    (tmp_path / 'a').mkdir()
    (tmp_path / 'link').symlink_to('town')
    monkeypatch.chdir(tmp_path)
    for out in ('town.yaml', 'link/b.yaml', None):
        done = init_data(form.format(tmp_path), out=out)
        assert '64x48' in done.report
        assert sum(map(len, images_of(done.file).values())) == 4


def test_a_second_data_file_leaves_the_lists_of_the_first(tmp_path):
    for i in range(5):
        save(tmp_path / f'data/image_{i}.png', photo(stripes(0, 1, 2)))
        save(tmp_path / f'data/mask_{i}.png', stripes(0, 1, 2))
    files = [init_data(tmp_path, name='x', out=tmp_path / f'{one}.yaml').file for one in 'ab']
    places = [yaml.safe_load(file.read_text())['domains']['x']['csv'] for file in files]
    assert places == ['data_lists/a.yaml/x_all.csv', 'data_lists/b.yaml/x_all.csv']


def test_images_beside_the_test_of_a_target_are_named(tmp_path):
    for split in ('train', 'val'):
        pairs(tmp_path, f'day/images/{split}', f'day/labels/{split}', prefix=split)
    pairs(tmp_path, 'dusk/images', 'dusk/labels')
    pairs(tmp_path, 'dusk/images/test', 'dusk/labels/test', prefix='t')
    done = init_data(tmp_path)
    assert images_of(done.file)['dusk/val'] == ['t0', 't1', 't2']
    assert set(yaml.safe_load(done.file.read_text())['domains']['dusk']) == {'train', 'test'}
    assert done.skipped == {
        f'dusk/images/{i}.png': 'image without a split: trains if dusk is a source'
        for i in range(3)
    }
