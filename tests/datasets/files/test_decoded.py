"""Decoded copies: equal, used, kept apart, and made again when their source changes."""

import os

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from rein_seg.datasets.files import decoded
from rein_seg.errors import UserError
from tests.datasets.trees import GTAV, TREES

PIPELINE = [
    dict(type='LoadDomainImage'),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]


def build(root, options=GTAV.options, **more):
    known = dict(type='CityscapesSpaceDataset', domain='d', data_root=str(root), pipeline=PIPELINE)
    return DATASETS.build({**known, **options, **more})


def read(dataset, **loading):
    loader = DataLoader(dataset, collate_fn=list, **loading)
    items = [item for batch in loader for item in batch]
    return [(i['inputs'].numpy(), i['data_samples'].gt_sem_seg.data.numpy()) for i in items]


def same(one, other):
    for pair, copy in zip(one, other, strict=True):
        for array, again in zip(pair, copy, strict=True):
            assert array.dtype == again.dtype
            np.testing.assert_array_equal(array, again)


def images(root):
    rng = np.random.default_rng(0)
    for path in sorted((root / 'gta/images').glob('*.png')):
        cv2.imwrite(str(path), rng.integers(0, 256, (4, 6, 3)).astype(np.uint8))


@pytest.mark.parametrize('raw', [False, True])
@pytest.mark.parametrize('num_workers', [0, 2])
def test_copies_are_equal_and_read(tmp_path, num_workers, raw, monkeypatch):
    GTAV.write(tmp_path, numbers=(1, 2, 3))
    images(tmp_path)
    plain = read(build(tmp_path))
    cache = tmp_path / 'copies'
    dataset = build(tmp_path, cache_dir=str(cache), cache_raw=raw)
    same(plain, read(dataset, num_workers=num_workers))
    copies = sorted(cache.rglob('*'))
    assert sum(path.is_file() for path in copies) == 6
    # the sources are read no more
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: pytest.fail('decoded again'))
    monkeypatch.setattr('rein_seg.datasets.transforms.labels.read_label', lambda *args: 1 / 0)
    same(plain, read(dataset))
    assert sorted(cache.rglob('*')) == copies


def test_copies_of_members_of_zips(tmp_path):
    GTAV.write_zips(tmp_path, {'01': (1, 2)})
    plain = read(build(tmp_path))
    for _ in range(2):
        same(plain, read(build(tmp_path, cache_dir=str(tmp_path / 'copies'))))


def test_a_changed_source_has_another_copy(tmp_path):
    GTAV.write(tmp_path)
    options = dict(cache_dir=str(tmp_path / 'copies'))
    read(build(tmp_path, **options))
    path = tmp_path / 'gta/images/00001.png'
    cv2.imwrite(str(path), np.full((4, 6, 3), 99, np.uint8))
    os.utime(path, (1, 1))
    assert (read(build(tmp_path, **options))[0][0] == 99).all()


def test_other_ids_and_sizes_have_other_copies(tmp_path):
    GTAV.write(tmp_path)
    options = dict(cache_dir=str(tmp_path / 'copies'))
    first = read(build(tmp_path, **options))[0][1]
    plain = dict(type='DomainDataset', **{k: dict(v) for k, v in PREFIX.items()}, **options)
    all_ignored = dict(plain, label_map=dict.fromkeys((7, 26, 0), 255), metainfo=TWO)
    other = read(build(tmp_path, options=all_ignored))[0][1]
    assert set(np.unique(first)) == {0, 13, 255}
    assert set(np.unique(other)) == {255}


PREFIX = dict(data_prefix=dict(img_path='gta/images', seg_map_path='gta/labels'))
TWO = dict(classes=('a', 'b'), palette=[[0, 0, 0], [9, 9, 9]])


def test_sizes_are_checked_with_copies_too(tmp_path):
    GTAV.write(tmp_path)
    options = dict(cache_dir=str(tmp_path / 'copies'), wrong_size='error')
    read(build(tmp_path, **options))
    cv2.imwrite(str(tmp_path / 'gta/images/00001.png'), np.zeros((8, 6, 3), np.uint8))
    with pytest.raises(UserError, match='expected one size'):
        read(build(tmp_path, **options))


def test_a_cache_that_cannot_be(tmp_path, monkeypatch):
    GTAV.write(tmp_path)
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='no copy of .*00001.png.* can be written'):
        read(build(tmp_path, cache_dir=str(tmp_path / 'file')))


def damage(data):
    """Yields changed contents of a file."""
    yield data[:20]
    yield b''
    yield data[:-1] + bytes([data[-1] ^ 1])
    middle = len(data) // 2
    yield data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


@pytest.mark.parametrize('raw', [False, True])
def test_a_copy_that_was_changed_is_made_again(tmp_path, raw):
    GTAV.write(tmp_path, numbers=(1, 2))
    images(tmp_path)
    plain, cache = read(build(tmp_path)), tmp_path / 'copies'
    dataset = build(tmp_path, cache_dir=str(cache), cache_raw=raw)
    read(dataset)
    copies = [path for path in sorted(cache.rglob('*')) if path.is_file()]
    for path in copies:
        whole = path.read_bytes()
        for changed in damage(whole):
            path.write_bytes(changed)
            same(plain, read(dataset))
            assert path.read_bytes() == whole
        other = next(p for p in copies if p != path and p.stat().st_size)
        path.write_bytes(other.read_bytes())  # whole, but of another picture
        same(plain, read(dataset))


@pytest.mark.parametrize('compression', ['zstd', 'tiff_lzw'])
@pytest.mark.parametrize('shape', [(1, 1), (70, 33), (70, 33, 3), (200, 7, 3)])
def test_pixels_survive(tmp_path, shape, compression):
    if decoded._compression() != 'zstd' and compression == 'zstd':
        pytest.skip('no zstd here')
    array = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / 'x.tif'
    data = decoded._encode(array, compression)
    path.write_bytes(data + decoded._digest(data, path))
    np.testing.assert_array_equal(decoded._read(path), array)


def test_synthia_s_labels_are_copied_as_classes(tmp_path):
    TREES['synthia'].write(tmp_path)
    for _ in range(2):
        labels = read(build(tmp_path, TREES['synthia'].options, cache_dir=str(tmp_path / 'c')))
        assert set(np.unique(labels[0][1])) == {0, 13, 255}
