"""TIFF of any bands: rasterio and a writer of our own say the same as the reader."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from rein_seg.datasets.files.tiff import pages_of, read_page
from rein_seg.errors import UserError
from rein_seg.scenes.drawing.tiff import encode_tiff

rasterio = pytest.importorskip('rasterio')
KINDS = ('uint8', 'uint16', 'int16', 'float32')


def numbers(kind, bands=5, size=(37, 45)):
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 40, (bands, *size)).cumsum(2) + 2000
    return (drawn % 256 if kind == 'uint8' else drawn).astype(kind)


def write(path, array, **options):
    """Writes (N, H, W) with GDAL; returns the content."""
    shape = dict(count=len(array), height=array.shape[1], width=array.shape[2])
    with rasterio.open(path, 'w', driver='GTiff', dtype=array.dtype, **shape, **options) as file:
        file.write(array)
    return path.read_bytes()


def read(data):
    (page,) = pages_of(data, 'a.tif')
    return page, read_page(data, page, 'a.tif')


CASES = [
    case
    for case in itertools.product(
        KINDS, ('none', 'lzw', 'deflate', 'zstd'), (1, 2, 3), ('band', 'pixel'), (False, True)
    )
    # differences of floats are for floats; none is not compressed
    if (case[2] < 3 or case[0] == 'float32') and (case[2] == 1 or case[1] != 'none')
]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind, codec, predictor, interleave, tiled', CASES)
def test_every_form_of_gdal_is_read_bit_for_bit(
    tmp_path, kind, codec, predictor, interleave, tiled
):
    array = numbers(kind)
    options = {} if codec == 'none' else dict(compress=codec, predictor=predictor)
    if tiled:
        options |= dict(tiled=True, blockxsize=32, blockysize=16)
    data = write(tmp_path / 'a.tif', array, interleave=interleave, **options)
    page, image = read(data)
    assert (page.size, page.samples) == ((37, 45), 5)
    assert image.dtype == array.dtype and np.array_equal(image, array.transpose(1, 2, 0))


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('options', [dict(BIGTIFF='YES'), dict(ENDIANNESS='BIG'), dict(nodata=-1)])
def test_large_files_and_other_byte_orders(tmp_path, options):
    array = numbers('int16', 3)
    page, image = read(write(tmp_path / 'a.tif', array, **options))
    assert np.array_equal(image, array.transpose(1, 2, 0))
    assert (page.nodata == '-1') == ('nodata' in options)


@pytest.mark.parametrize('kind', KINDS)
def test_our_own_writer_agrees_with_gdal(tmp_path, kind):
    array = numbers(kind, 5).transpose(1, 2, 0)
    path = tmp_path / 'a.tif'
    path.write_bytes(encode_tiff(array))
    with rasterio.open(path) as file:
        assert np.array_equal(file.read().transpose(1, 2, 0), array)
    assert np.array_equal(read(path.read_bytes())[1], array)


@pytest.mark.filterwarnings('ignore')
def test_smaller_copies_do_not_count_as_pages(tmp_path):
    path = tmp_path / 'a.tif'
    write(path, numbers('uint8', 4, (64, 64)))
    with rasterio.open(path, 'r+') as file:
        file.build_overviews([2])
    assert len(pages_of(path.read_bytes(), 'a.tif')) == 1


@pytest.mark.filterwarnings('ignore')
def test_a_damaged_or_foreign_file_is_one_line(tmp_path):
    data = write(tmp_path / 'a.tif', numbers('uint16'), compress='lzw')
    (page,) = pages_of(data, 'a.tif')
    start = page.tags[273][0]
    broken = data[:start] + b'\xff' * 40 + data[start + 40 :]
    for content in (broken, data[: start + 20] + b'' * 9):
        with pytest.raises(UserError) as error:
            read(content)
        assert 'a.tif' in str(error.value) and '\n' not in str(error.value)
    doubles = write(tmp_path / 'b.tif', numbers('float32').astype('float64'))
    with pytest.raises(UserError, match='numbers of .64. bits.*float32'):
        pages_of(doubles, 'b.tif')


def test_bits_in_reverse_are_refused(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(
        file, 'TIFF', tiffinfo={266: 2}
    )
    with pytest.raises(UserError, match="'a.tif' has the bits of its bytes in reverse"):
        pages_of(file.getvalue(), 'a.tif')


def test_a_file_that_lies_about_its_size_fills_no_memory():
    data = bytearray(encode_tiff(np.zeros((4, 4, 2), np.uint16)))
    (directory,) = struct.unpack_from('<I', data, 4)
    struct.pack_into('<I', data, directory + 2 + 8, 2**30)  # the width
    with pytest.raises(UserError, match='too large'):
        pages_of(bytes(data), 'a.tif')
    circle = bytearray(encode_tiff(np.zeros((4, 4, 2), np.uint16)))
    (directory,) = struct.unpack_from('<I', circle, 4)
    (entries,) = struct.unpack_from('<H', circle, directory)
    struct.pack_into('<I', circle, directory + 2 + 12 * entries, directory)
    with pytest.raises(UserError, match='circle'):
        pages_of(bytes(circle), 'a.tif')
