"""Images of bands are read with their axes right; what is not known is refused."""

import cv2
import numpy as np
import pytest
from PIL import Image

from rein_seg.datasets.files.band_files import band_size, read_bands
from rein_seg.errors import UserError
from rein_seg.scenes.drawing.tiff import encode_tiff

NAMES = ['red', 'green', 'blue', 'nir', 'height']


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 9000, (6, 8, 5)).astype(np.uint16)


def save(path, array):
    path.write_bytes(encode_tiff(array))
    return str(path)


def test_tiff_and_arrays_give_the_same_bands(tmp_path, image):
    np.save(tmp_path / 'last.npy', image)
    np.save(tmp_path / 'first.npy', np.asfortranarray(image.transpose(2, 0, 1)))
    files = {
        save(tmp_path / 'a.tif', image): {},
        str(tmp_path / 'last.npy'): dict(axes='HWC'),
        str(tmp_path / 'first.npy'): dict(axes='CHW'),
    }
    for path, said in files.items():
        found = read_bands(path, dict(names=NAMES, **said))
        assert found.dtype == np.float32 and np.array_equal(found, image)
        assert band_size(path, dict(names=NAMES, **said)) == (6, 8)
        some = read_bands(path, dict(names=NAMES, use=['nir', 'red'], **said))
        assert np.array_equal(some, image[..., [3, 0]])


def test_a_stack_of_pages_is_read_by_bands_or_by_rows(tmp_path, image):
    path = str(tmp_path / 'pages.tif')
    pages = [Image.fromarray(page) for page in image.transpose(2, 0, 1)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert np.array_equal(read_bands(path, dict(names=NAMES)), image)
    rows = [Image.fromarray(np.ascontiguousarray(row)) for row in image]
    rows[0].save(path, save_all=True, append_images=rows[1:])
    with pytest.raises(UserError, match='set axes'):
        read_bands(path, dict(names=NAMES))
    assert np.array_equal(read_bands(path, dict(names=NAMES, axes='HWC')), image)
    assert band_size(path, dict(names=NAMES, axes='HWC')) == (6, 8)


def test_pictures_of_one_to_four_channels_in_the_order_of_their_names(tmp_path):
    grey = np.arange(48, dtype=np.uint16).reshape(6, 8) * 900
    Image.fromarray(grey).save(tmp_path / 'a.png')
    assert np.array_equal(read_bands(str(tmp_path / 'a.png'), dict(names=['nir']))[..., 0], grey)
    colours = np.random.default_rng(0).integers(0, 255, (6, 8, 4)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / 'b.png')
    found = read_bands(str(tmp_path / 'b.png'), dict(names=['red', 'green', 'blue', 'nir']))
    assert found.dtype == np.uint8 and np.array_equal(found, colours)
    three = Image.fromarray(colours[..., :3].copy())
    three.save(tmp_path / 'see_through.png', transparency=(1, 2, 3))
    found = read_bands(str(tmp_path / 'see_through.png'), dict(names=['red', 'green', 'blue']))
    assert np.array_equal(found, colours[..., :3])
    cv2.imwrite(str(tmp_path / 'c.png'), colours[..., 2::-1])
    found = read_bands(str(tmp_path / 'c.png'), dict(names=['red', 'green', 'blue']))
    assert np.array_equal(found, colours[..., :3])


def test_another_number_of_bands_names_both(tmp_path, image):
    path = save(tmp_path / 'three.tif', image[..., :3])
    with pytest.raises(UserError, match='has 3 bands: expected 5 bands .red, green, blue, nir, '):
        read_bands(path, dict(names=NAMES))
    Image.new('RGB', (4, 4)).save(tmp_path / 'c.png')
    with pytest.raises(UserError, match='has 3 bands: expected 5'):
        read_bands(str(tmp_path / 'c.png'), dict(names=NAMES))
    Image.new('P', (4, 4)).save(tmp_path / 'p.png')
    with pytest.raises(UserError, match='mode P'):
        read_bands(str(tmp_path / 'p.png'), dict(names=['red']))


def test_values_without_data_become_the_mean_of_their_band_if_a_word_says_so(tmp_path):
    array = np.full((4, 4, 2), 7, np.float32)
    array[1, 2, 1] = np.nan
    path = save(tmp_path / 'a.tif', array)
    statistics = dict(names=['a', 'b'], mean=[6, 5], std=[2, 2])
    with pytest.raises(UserError, match="1 values that are NaN .* band 'b'.*nodata: 'nan'"):
        read_bands(path, statistics)
    found = read_bands(path, {**statistics, 'nodata': 'nan'})
    assert found[1, 2].tolist() == [7, 5] and (found == 7).sum() == 31
    array[1, 2, 1] = -9999
    found = read_bands(save(tmp_path / 'b.tif', array), {**statistics, 'nodata': -9999})
    assert found[1, 2].tolist() == [7, 5]
    clipped = read_bands(path, {**statistics, 'nodata': 'nan', 'value_range': [0, 6.5]})
    assert clipped.max() == 6.5


@pytest.mark.filterwarnings('ignore')
def test_a_declared_value_without_data_must_be_confirmed(tmp_path):
    rasterio = pytest.importorskip('rasterio')
    path = str(tmp_path / 'a.tif')
    options = dict(driver='GTiff', height=2, width=2, count=1, dtype='int16', nodata=-32768)
    with rasterio.open(path, 'w', **options) as file:
        file.write(np.int16([[[1, 2], [3, -32768]]]))
    with pytest.raises(UserError, match='-32768 is no data, and has 1 such values.*nodata: -32768'):
        read_bands(path, dict(names=['a']))
    known = dict(names=['a'], nodata=-32768, mean=[2], std=[1])
    assert read_bands(path, known).ravel().tolist() == [1, 2, 3, 2]
    # other files of the data set declare nothing, and have another value
    for nodata, expected in ((3, [1, 2, 2, 2]), ('nan', [1, 2, 3, 2])):
        assert read_bands(path, {**known, 'nodata': nodata}).ravel().tolist() == expected


@pytest.mark.parametrize('factor, mean, std', [(1 / 255, 120, 50), (255, 0.45, 0.2)])
def test_units_that_differ_from_the_statistics_are_told(tmp_path, factor, mean, std):
    array = np.random.default_rng(0).uniform(0, 255, (8, 8, 2)).astype(np.float32)
    array = array * factor if factor < 1 else array
    path = save(tmp_path / 'a.tif', array.astype(np.float32))
    with pytest.raises(UserError, match='expected the same units'):
        read_bands(path, dict(names=['a', 'b'], mean=[mean] * 2, std=[std] * 2))
    right = dict(mean=[array.mean()] * 2, std=[array.std()] * 2)
    assert read_bands(path, dict(names=['a', 'b'], **right)).shape == (8, 8, 2)


def test_arrays_of_other_numbers_and_cut_files_are_refused(tmp_path):
    np.save(tmp_path / 'a.npy', np.zeros((2, 2, 2)))
    np.save(tmp_path / 'o.npy', np.array([{}]), allow_pickle=True)
    np.save(tmp_path / 'cut.npy', np.zeros((2, 2, 2), np.float32))
    cut = tmp_path / 'cut.npy'
    cut.write_bytes(cut.read_bytes()[:-4])
    for name, words in (('a', 'float64'), ('o', 'object'), ('cut', 'expected a whole array')):
        with pytest.raises(UserError, match=words):
            read_bands(str(tmp_path / f'{name}.npy'), dict(names=['a', 'b'], axes='CHW'))
