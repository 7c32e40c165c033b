"""Data sets of mmpretrain and of CoOp, as benchmarks have them, on tiny copies of their files."""

from pathlib import Path

import pytest
from mmseg.registry import DATASETS

from rein_seg.config.builtin import benchmarks
from rein_seg.datasets import MMPretrainImages
from rein_seg.errors import UserError
from rein_seg.text.names import check_classes
from tests.datasets.images.downloads import EUROSAT, TREES, eurosat, write


def build(name, root, **options):
    node = {**benchmarks()[name].train[0].node, 'shots': None, 'data_root': str(root), **options}
    return DATASETS.build(node)


@pytest.mark.parametrize('name', TREES)
def test_a_download_gives_images_and_the_names_of_their_classes(name, tmp_path):
    make, expected = TREES[name]
    make(tmp_path)
    dataset = build(name, tmp_path)
    assert [dataset.classes[k] for k in dataset.labels()] == expected
    assert len(dataset.classes) == benchmarks()[name].num_classes
    check_classes(dataset.classes)  # a text tower reads them, each as another
    info = dataset.get_data_info(0)
    assert info['domain'] == name
    assert Path(info['img_path']).read_bytes()[:2] == b'\xff\xd8'
    assert not info['name'].startswith('/')


@pytest.mark.parametrize('name', TREES)
def test_missing_files_are_one_line_with_the_place_of_the_download(name, tmp_path):
    with pytest.raises(UserError, match='get it from|the copies') as error:
        build(name, tmp_path)
    assert f'domain {name!r}' in str(error.value)
    assert '\n' not in str(error.value)


def test_unknown_names_and_splits():
    with pytest.raises(UserError, match="'Caltech10' is no data set of mmpretrain .*Caltech101"):
        MMPretrainImages('own', dataset='Caltech10', data_root='x')
    with pytest.raises(UserError, match=r"split must be one of \['train', 'test'\]"):
        MMPretrainImages('own', dataset='Food101', split='val', data_root='x')


def test_splits_of_coop_name_classes_and_images(tmp_path):
    eurosat(tmp_path)
    for split, rows in EUROSAT.items():
        dataset = build('eurosat', tmp_path, split=split)
        assert dataset.classes == ('Sea or Lake', 'Forest')
        assert [dataset.get_data_info(i)['name'] for i in range(len(rows))] == [r[0] for r in rows]
        assert dataset.labels().tolist() == [row[1] for row in rows]


def test_wrong_splits_of_coop_are_one_line(tmp_path):
    eurosat(tmp_path)
    with pytest.raises(UserError, match="has no split 'tes'; did you mean 'test'"):
        build('eurosat', tmp_path, split='tes')
    (tmp_path / '2750/Forest/Forest_1.jpg').unlink()
    with pytest.raises(UserError, match="lists 'Forest/Forest_1.jpg', which is not there"):
        build('eurosat', tmp_path)
    for text in ('[1, 2]', '{"train": [["a.jpg", "b"]]}', '{"train": [["a.jpg", "0", "b"]]}', '{'):
        write(tmp_path / 'split_zhou_EuroSAT.json', text)
        with pytest.raises(UserError, match='is no file of splits'):
            build('eurosat', tmp_path)
    write(tmp_path / 'split_zhou_EuroSAT.json', '{"train": [["a", 0, "x"], ["b", 0, "y"]]}')
    with pytest.raises(UserError, match="calls class 0 'x' and 'y'"):
        build('eurosat', tmp_path)
