"""Slices in NumPy and HDF5 files read as pictures, and files that are refused in one line."""

import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from rein_seg.datasets.files.label_files import read_label
from rein_seg.datasets.files.listing import file_on_disk, read_bytes
from rein_seg.datasets.files.pictures import read_header, read_image
from rein_seg.datasets.files.volumes import slice_bytes, slice_path, split_path, volume_shape
from rein_seg.errors import UserError
from tests.datasets.volume_files import slices


def npz(folder, **arrays):
    path = folder / 'case0005_slice001.npz'
    np.savez(path, **arrays)
    return str(path)


def h5(folder, **arrays):
    path = folder / 'case0001.npy.h5'
    with h5py.File(path, 'w') as file:
        for key, array in arrays.items():
            file[key] = array
    return str(path)


def refused(call, *args):
    with pytest.raises(UserError) as error:
        call(*args)
    text = str(error.value)
    assert '\n' not in text
    return text


@pytest.mark.parametrize('write', [npz, h5])
def test_a_slice_is_a_grey_picture_of_eight_bits(tmp_path, write):
    image, label = slices(0)
    if write is npz:
        file, at = npz(tmp_path, image=image[1], label=label[1]), 1
    else:
        file, at = h5(tmp_path, image=image, label=label), 1
    path = slice_path(file, 'image', 'case', at)
    pixels = read_image(path)
    assert pixels.shape == (20, 24, 3) and np.ptp(pixels, axis=2).max() == 0
    assert np.array_equal(pixels[..., 0], np.rint(255 * image[1].astype(float)))
    assert np.array_equal(read_label(slice_path(file, 'label', 'case', at)), label[1])
    assert read_header(path).size() == (20, 24)
    assert file_on_disk(path) == file
    assert read_bytes(path, most=8) == b'\x89PNG\r\n\x1a\n'


def test_paths_are_taken_apart_again():
    path = slice_path('a/b.npz', 'image', 'case0005', 1234)
    assert split_path(path) == ('a/b.npz', 'image', 'case0005', 1234)


@pytest.mark.parametrize(
    ('arrays', 'key', 'words'),
    [
        (dict(image=np.zeros((4, 6, 3))), 'image', r'is (4, 6, 3): expected (height, width)'),
        (dict(image=np.zeros((0, 6))), 'image', 'is (0, 6), empty'),
        (dict(image=np.full((4, 6), 2.0)), 'image', 'of 2 to 2: expected values 0..1'),
        (dict(image=np.full((4, 6), np.nan)), 'image', 'of nan to nan: expected values 0..1'),
        (dict(image=np.full((4, 6), -1000)), 'image', 'of -1000 to -1000: expected values 0..1'),
        (dict(label=np.full((4, 6), 1.5)), 'label', 'of 1.5 to 1.5: expected whole numbers'),
        (dict(label=np.full((4, 6), 300)), 'label', 'of 300 to 300: expected whole numbers'),
        (dict(label=np.full((4, 6), 'a')), 'label', 'holds <U1 values: expected numbers'),
        (dict(data=np.zeros((4, 6))), 'image', "has no 'image', it has ['data']: expected image"),
    ],
)
def test_slices_that_are_refused(tmp_path, arrays, key, words):
    file = npz(tmp_path, **arrays)
    text = refused(slice_bytes, slice_path(file, key, 'case', 1))
    assert words in text and file in text


def test_rounding_beyond_the_range_is_cut(tmp_path):
    file = npz(tmp_path, image=np.array([[-1e-6, 1 + 1e-6]]))
    assert read_image(slice_path(file, 'image', 'a', 0))[..., 0].tolist() == [[0, 255]]


def test_no_pickle_is_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (sys.exit, ('ran code',))

    file = npz(tmp_path, image=np.array([Trap()], dtype=object))
    assert 'Python objects, which could run code' in refused(
        slice_bytes, slice_path(file, 'image', 'a', 0)
    )
    plain = tmp_path / 'b.npz'
    plain.write_bytes(pickle.dumps(Trap()))
    assert 'cannot be read' in refused(slice_bytes, slice_path(str(plain), 'image', 'b', 0))


@pytest.mark.parametrize('name', ['a.npz', 'a.npy.h5'])
@pytest.mark.parametrize(
    'content', [b'', b'text', b'PK\3\4' + bytes(60), b'\x89HDF\r\n\x1a\n' + bytes(90)]
)
def test_damaged_files_are_named(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    text = refused(slice_bytes, slice_path(str(file), 'image', 'a', 0))
    assert str(file) in text and 'cannot be read' in text and 'download it again' in text
    # an h5 is read before names are skipped
    assert text.endswith('skip=[NAME] in the data set' if name == 'a.npz' else 'remove it')


def test_a_missing_file_and_a_cut_file(tmp_path):
    lost = slice_path(str(tmp_path / 'a.npz'), 'image', 'a', 0)
    assert 'is no file' in refused(slice_bytes, lost)
    file = Path(h5(tmp_path, image=np.zeros((3, 40, 40)), label=np.zeros((3, 40, 40))))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert 'cannot be read' in refused(volume_shape, str(file))


@pytest.mark.parametrize(
    ('image', 'label', 'words'),
    [
        ((3, 4, 6, 3), (3, 4, 6), 'is (3, 4, 6, 3): expected (slices, height, width)'),
        ((4, 6), (4, 6), 'is (4, 6): expected (slices, height, width)'),
        ((0, 4, 6), (0, 4, 6), 'is (0, 4, 6), empty'),
        ((3, 4, 6), (2, 4, 6), 'its label is (2, 4, 6), its image (3, 4, 6)'),
    ],
)
def test_volumes_that_are_refused(tmp_path, image, label, words):
    file = h5(tmp_path, image=np.zeros(image), label=np.zeros(label))
    text = refused(volume_shape, file)
    assert words in text and file in text


def test_a_data_set_of_hdf5_that_holds_nothing(tmp_path):
    file = h5(tmp_path, image=h5py.Empty('f'), label=h5py.Empty('f'))
    assert 'is (0, 0, 0), empty' in refused(volume_shape, file)


def test_a_volume_without_label(tmp_path):
    file = h5(tmp_path, image=np.zeros((3, 4, 6)))
    assert "has no 'label', it has ['image']" in refused(volume_shape, file)


def test_h5py_is_named_where_it_is_missing(tmp_path, monkeypatch):
    file = h5(tmp_path, image=np.zeros((3, 4, 6)), label=np.zeros((3, 4, 6)))
    monkeypatch.setitem(sys.modules, 'h5py', None)
    assert "expected h5py, which reads it; pip install 'rein-seg[volumes]'" in refused(
        volume_shape, file
    )
