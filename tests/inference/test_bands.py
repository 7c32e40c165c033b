"""A model of five bands predicts files, arrays, tensors and rasters of its bands, and no others."""

import numpy as np
import pytest
import torch

from rein_seg.apis import Predictor, init_model, predict
from rein_seg.errors import UserError
from rein_seg.inference.augment import resample
from rein_seg.inference.items import Item, Settings, open_item
from rein_seg.inference.rasters import map_writer, open_raster
from rein_seg.inference.sources import Source
from rein_seg.scenes.drawing.tiff import encode_tiff
from rein_seg.scenes.fields import render


@pytest.fixture(scope='module')
def predictor():
    return Predictor(init_model('frozen_tiny_minibands', device='cpu'))


@pytest.fixture(scope='module')
def image():
    return render('summer', 'val', 0, size=(48, 40)).image


@pytest.fixture
def path(tmp_path, image):
    (tmp_path / 'a.tif').write_bytes(encode_tiff(image))
    return str(tmp_path / 'a.tif')


def test_a_file_an_array_and_a_tensor_give_the_same_map(predictor, path, image):
    result = predictor.predict(path, overlay=True, scores=True)
    assert result.map.shape == (40, 48) and result.scores.shape == (7, 40, 48)
    assert result.image.shape == (40, 48, 3) and result.image.dtype == np.uint8
    tensor = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
    for source in (image, tensor):
        assert np.array_equal(predictor.predict(source).map, result.map)
    # the order of the bands counts: nothing turns them as it turns BGR
    other = predictor.predict(np.ascontiguousarray(image[..., ::-1]), scores=True)
    assert not np.array_equal(other.scores, result.scores)


def test_scales_and_mirrors_keep_the_bands_apart(predictor, path, image):
    assert predictor.predict(path, tta=[1.0, 1.25]).map.shape == (40, 48)
    moved = resample(image, (2.0, 2.0), [0.5, 0.5], (20, 24))
    each = [resample(image[..., i : i + 1], (2.0, 2.0), [0.5, 0.5], (20, 24)) for i in range(5)]
    assert np.array_equal(moved, np.concatenate(each, -1))


def test_other_bands_other_units_and_colours_are_refused(predictor, path, image, tmp_path):
    for wrong, words in (
        (image[..., :3], r'shape \(40, 48, 3\): expected .* 5 bands'),
        (image / 10_000, 'expected the same units'),
        (str(tmp_path / 'no.tif'), 'does not exist'),
        ('text', 'does not exist'),
        (7, 'int of shape'),
    ):
        with pytest.raises(UserError, match=words):
            predictor.predict(wrong)
    with pytest.raises(UserError, match='takes 5 bands .*rein_seg.load'):
        predict(predictor.model, np.zeros((8, 8, 3), np.uint8))


def test_each_input_of_a_command_is_read_by_its_bands(predictor, path, tmp_path, image):
    def content(file):
        item = Item(Source(str(file), file.name, str(tmp_path)), file.stem)
        return open_item(item, Settings(), predictor.bands)[1]

    (tmp_path / 'three.tif').write_bytes(encode_tiff(image[..., :3]))
    assert np.array_equal(content(tmp_path / 'a.tif'), image)
    assert 'has 3 bands: expected 5 bands' in str(content(tmp_path / 'three.tif'))
    (tmp_path / 'a.mp4').write_bytes(b'')
    assert 'is in colours' in str(content(tmp_path / 'a.mp4'))


@pytest.mark.filterwarnings('ignore')
def test_a_raster_keeps_its_place_and_marks_what_has_no_data(predictor, tmp_path, image):
    rasterio = pytest.importorskip('rasterio')
    bands = image.transpose(2, 0, 1).astype(np.float32)
    bands[:, 10:20, 10:20] = np.nan
    bands[3, :5] = np.nan  # one band alone
    place = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
    options = dict(count=5, height=40, width=48, dtype='float32', crs='EPSG:32632')
    source, out = str(tmp_path / 'geo.tif'), str(tmp_path / 'map.tif')
    with rasterio.open(source, 'w', driver='GTiff', transform=place, **options) as file:
        file.write(bands)
    with open_raster(source, described=predictor.bands) as raster:
        pixels = raster.read(0, 0, 40, 48)
        assert np.isfinite(pixels).all() and pixels[0, 0, 3] == predictor.bands.mean[3]
        assert np.array_equal(pixels[30], image[30])
        assert raster.thumbnail().shape == (40, 48, 3)
        with map_writer(out, raster, predictor.palette) as writer:
            for strip in predictor.predict_strips(raster.read, raster.size):
                writer.add(raster.mark(strip.map, strip.y0))
    with rasterio.open(out) as file:
        assert file.transform == place and file.nodata == 255
        label = file.read(1)
    assert (label[10:20, 10:20] == 255).all() and (label == 255).sum() == 100


@pytest.mark.filterwarnings('ignore')
def test_a_raster_of_three_bands_is_refused_by_name(predictor, tmp_path):
    rasterio = pytest.importorskip('rasterio')
    source = str(tmp_path / 'rgb.tif')
    options = dict(count=3, height=8, width=8, dtype='uint8')
    with rasterio.open(source, 'w', driver='GTiff', **options) as file:
        file.write(np.zeros((3, 8, 8), np.uint8))
    with (
        pytest.raises(UserError, match="rgb.tif' has 3 bands: expected 5"),
        open_raster(source, described=predictor.bands),
    ):
        pass
