"""Rasters keep their place; they are read and written by rows."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin

import rein_seg
from rein_seg.errors import UserError
from rein_seg.inference.rasters import is_raster, map_writer, open_raster
from tests.cli.calls import assert_refused, call
from tests.inference.tiny_adapter import draw, pixels, tiny_adapter

PLACE = dict(crs='EPSG:32633', transform=from_origin(500_000, 5_000_000, 0.5, 0.5))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, bands, **profile):
    """Writes (C, H, W) bands as GeoTIFF and returns its path."""
    profile = {**PLACE, 'dtype': bands.dtype, **profile}
    gcps = profile.pop('gcps', None)
    table = profile.pop('table', None)
    shape = dict(count=bands.shape[0], height=bands.shape[1], width=bands.shape[2])
    with rasterio.open(path, 'w', driver='GTiff', **shape, **profile) as file:
        file.write(bands)
        if table:
            file.write_colormap(1, table)
        if gcps:
            file.gcps = gcps
    return str(path)


def bands(height=70, width=90):
    return pixels(height, width).transpose(2, 0, 1)


def predict(*words):
    return call('predict', tiny_adapter(), *words, '--out', 'out', '--device', 'cpu')


def record():
    return json.loads(Path('out/predictions.json').read_text())


def test_a_map_lies_where_the_raster_lies():
    write('scene.tif', bands())
    assert predict('scene.tif', '--scores')[0] == 0
    expected = rein_seg.load(tiny_adapter(), device='cpu').predict(pixels(70, 90), scores=True)
    with rasterio.open('out/scene.tif') as file, rasterio.open('scene.tif') as source:
        assert (file.crs, file.transform, file.bounds) == (
            source.crs,
            source.transform,
            source.bounds,
        )
        assert (file.count, file.dtypes, file.nodata) == (1, ('uint8',), None)
        assert file.profile['tiled']
        assert file.profile['compress'] == 'deflate'
        np.testing.assert_array_equal(file.read(1), expected.map)
        for index, colour in enumerate(expected.palette):
            assert file.colormap(1)[index][:3] == tuple(colour)
    scores = np.load('out/scores/scene.npy')
    np.testing.assert_allclose(scores, expected.scores, atol=1e-3)
    (entry,) = record()['images']
    assert (entry['output'], entry['size']) == ('scene.tif', [70, 90])
    assert entry['confidence'] == pytest.approx(expected.confidence, abs=1e-4)
    shares = {name: share for name, share in expected.shares.items() if share}
    assert entry['shares'] == pytest.approx(shares, abs=1e-6)
    with Image.open('out/overlays/scene.jpg') as overlay:
        assert overlay.size[1] > 70
    assert predict('scene.tif', '--scores')[0] == 0
    assert_refused(*call('predict', tiny_adapter(), 'scene.tif', '--out', '.'), 'would replace')


def test_tiles_and_many_blocks_give_every_row_once():
    write('long.tif', bands(300, 40))
    assert predict('long.tif', '--max-tokens', '64')[0] == 0
    predictor = rein_seg.load(tiny_adapter(), device='cpu')
    expected = predictor.predict(pixels(300, 40), max_tokens=64)
    with rasterio.open('out/long.tif') as file:
        np.testing.assert_array_equal(file.read(1), expected.map)


def test_pixels_without_data_have_no_class():
    data = bands()
    data[:, :20] = 0
    write('edge.tif', data, nodata=0)
    assert predict('edge.tif')[0] == 0
    with rasterio.open('out/edge.tif') as file:
        found = file.read(1)
        assert file.nodata == 255
    assert (found[:20] == 255).all()
    assert (found[20:] < 19).all()
    shares = record()['images'][0]['shares']
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    with Image.open('out/overlays/edge.jpg') as overlay:
        seen = np.asarray(overlay)
    assert seen[:15, :90].max() < 16  # JPEG
    assert seen[30:70, :90].max() > 60


def test_other_numbers_bands_and_colours():
    rgb = bands()
    wide = rgb.astype(np.uint16) * 257
    floats = np.where(rgb == rgb[:, :1, :1], np.nan, rgb / 255).astype(np.float32)
    index = (rgb[:1] > 100).astype(np.uint8)
    table = {0: (10, 20, 30, 255), 1: (200, 100, 0, 255)}
    cases = {
        'wide.tif': (write('wide.tif', wide), {}, rgb),
        'five.tif': (
            write('five.tif', np.concatenate([wide[::-1], wide[:2]])),
            {'bands': (3, 2, 1)},
            rgb,
        ),
        'grey.tif': (write('grey.tif', rgb[:1]), {}, np.repeat(rgb[:1], 3, 0)),
        'float.tif': (
            write('float.tif', floats),
            {'max_value': 1.0},
            np.where(np.isnan(floats).any(0), 0, rgb),
        ),
        'table.tif': (
            write('table.tif', index, table=table),
            {},
            np.array([table[0][:3], table[1][:3]])[index[0]].transpose(2, 0, 1),
        ),
    }
    for name, (path, options, expected) in cases.items():
        with open_raster(path, **options) as raster:
            found = raster.read(3, 5, 60, 80)
            np.testing.assert_array_equal(found, expected[:, 3:60, 5:80].transpose(1, 2, 0), name)
            assert raster.thumbnail().shape == (70, 90, 3)


@pytest.mark.parametrize(
    ('data', 'options', 'parts'),
    [
        (bands().astype(np.uint16), {}, ['values of', 'max_value']),
        (bands().astype(np.float32), {}, ['float32']),
        (bands(), {'bands': (1, 2, 4)}, ['has 3 bands', '--bands R G B']),
    ],
)
def test_what_cannot_be_shown_is_refused(data, options, parts):
    path = write('scene.tif', data)
    with pytest.raises(UserError) as caught, open_raster(path, **options) as raster:
        raster.read(0, 0, 70, 90)
    for part in parts:
        assert part in str(caught.value)


def test_a_raster_without_a_known_white_names_the_option():
    draw('in/a.jpg')
    write('in/sensor.tif', bands().astype(np.uint16) * 4)
    write('in/float.tif', bands().astype(np.float32))
    assert predict('in')[0] == 3
    reasons = {Path(one['source']).name: one['reason'] for one in record()['skipped']}
    for name in ('sensor.tif', 'float.tif'):
        assert reasons[name].startswith(f"raster 'in/{name}' holds ")
        assert 'white with --max-value NUMBER' in reasons[name]
        assert 'data set' not in reasons[name]


def test_numbers_above_white_are_found_before_the_first_row():
    path = write('scene.tif', bands().astype(np.float32))
    with (
        pytest.raises(UserError, match='expected 0 to max_value=9'),
        open_raster(path, max_value=9),
    ):
        raise AssertionError('opened')


def test_scores_are_written_without_posix_fallocate(monkeypatch):
    monkeypatch.delattr(os, 'posix_fallocate')
    write('scene.tif', bands())
    assert predict('scene.tif', '--scores')[0] == 0
    scores = np.load('out/scores/scene.npy')
    assert scores.shape == (19, 70, 90)
    np.testing.assert_allclose(scores.astype(float).sum(0), 1, atol=0.02)


def test_control_points_are_kept():
    points = [GroundControlPoint(row, col, x=13 + col / 1e3, y=46 - row / 1e3)
              for row, col in ((0, 0), (0, 90), (70, 0))]  # fmt: skip
    path = write('points.tif', bands(), crs=None, transform=None, gcps=(points, 'EPSG:4326'))
    assert is_raster(path)
    assert predict(path)[0] == 0
    with rasterio.open('out/points.tif') as file:
        found, crs = file.gcps
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]
        assert crs.to_epsg() == 4326


def test_a_plain_tiff_is_an_image_and_a_huge_one_a_raster():
    Image.fromarray(pixels()).save('plain.tif')
    assert not is_raster('plain.tif')
    profile = dict(driver='GTiff', count=3, dtype='uint8', height=14_000, width=14_000)
    with rasterio.open('huge.tif', 'w', tiled=True, sparse_ok=True, **profile):
        pass
    assert is_raster('huge.tif')
    with open_raster('huge.tif') as raster:
        assert raster.read(13_990, 13_900, 14_000, 14_000).shape == (10, 100, 3)
    Path('text.tif').write_text('no raster')
    assert not is_raster('text.tif')


def test_a_text_that_names_other_files_is_no_raster():
    write('scene.tif', bands())
    source = Path('scene.tif').absolute()
    Path('text.tif').write_text(
        '<VRTDataset rasterXSize="90" rasterYSize="70"><SRS>EPSG:4326</SRS><VRTRasterBand '
        f'dataType="Byte" band="1"><SimpleSource><SourceFilename>{source}</SourceFilename>'
        '</SimpleSource></VRTRasterBand></VRTDataset>'
    )
    with rasterio.open('text.tif') as file:
        assert file.crs is not None
    assert not is_raster('text.tif')
    assert predict('text.tif')[0] == 2


def test_a_damaged_raster_is_skipped(capsys):
    path = Path(write('cut.tif', bands(600, 600), compress='deflate'))
    path.write_bytes(path.read_bytes()[:-2000])
    Image.fromarray(pixels()).save('good.png')
    code, _ = predict('cut.tif', 'good.png')
    assert code == 3
    (skipped,) = record()['skipped']
    assert "raster 'cut.tif' cannot be read" in skipped['reason']
    assert sorted(p.name for p in Path('out').iterdir()) == [
        'good.png', 'overlays', 'predictions.json',
    ]  # fmt: skip


def test_without_rasterio(monkeypatch):
    write('scene.tif', bands())
    Image.fromarray(pixels()).save('plain.tif')
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    assert not is_raster('plain.tif')
    with pytest.raises(UserError, match=r"pip install 'rein-seg\[rasters\]'"):
        is_raster('scene.tif')


def test_a_map_that_failed_leaves_nothing():
    path = write('scene.tif', bands())
    with pytest.raises(KeyboardInterrupt), open_raster(path) as raster:
        with map_writer('out/scene.tif', raster, np.zeros((19, 3), np.uint8)) as writer:
            writer.add(np.zeros((30, 90), np.uint8))
            raise KeyboardInterrupt
    assert list(Path('out').iterdir()) == []
