"""Mean and std of bands over the training images, written into the data file."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from rein_seg.bands import Bands
from rein_seg.cli import main
from rein_seg.config.data_file import read_benchmark
from rein_seg.data_check import check_data, read_parts
from rein_seg.errors import UserError
from rein_seg.own_data import init_data
from rein_seg.own_data.band_statistics import statistics_of, write_statistics
from rein_seg.scenes.drawing.tiff import encode_tiff

NAMES = ['red', 'green', 'blue', 'nir', 'height']


@pytest.fixture
def folder(tmp_path):
    """Ten images of five bands and 16 bits with their masks."""
    rng = np.random.default_rng(0)
    for kind in ('images', 'labels'):
        (tmp_path / 'fields' / kind).mkdir(parents=True)
    for i in range(10):
        image = rng.normal(1000 * np.arange(1, 6), 100 * np.arange(1, 6), (40, 48, 5))
        image = image.astype(np.uint16)
        (tmp_path / f'fields/images/{i}.tif').write_bytes(encode_tiff(image))
        label = np.zeros((40, 48), np.uint8)
        label[: 10 + i] = 1
        cv2.imwrite(str(tmp_path / f'fields/labels/{i}.png'), label)
    return tmp_path / 'fields'


def test_init_data_writes_bands_with_statistics_and_a_run_reads_them(folder):
    done = init_data(folder, bands=Bands(tuple(NAMES)))
    assert not done.skipped and 'fields  train  8       48x40' in done.report
    said = yaml.safe_load(done.file.read_text())
    assert said['bands'] == NAMES
    assert np.allclose(said['mean'], 1000 * np.arange(1, 6), rtol=0.02)
    assert np.allclose(said['std'], 100 * np.arange(1, 6), rtol=0.05)
    benchmark = read_benchmark(str(done.file))
    assert benchmark.bands == {'names': NAMES, 'mean': said['mean'], 'std': said['std']}
    steps = [step['type'] for step in benchmark.train_pipeline]
    assert 'BandDistortion' in steps and 'FastPhotoMetricDistortion' not in steps
    checks = check_data(read_parts(str(done.file)))
    assert [len(check.samples) for check in checks] == [8, 2]
    assert not any(check.faults for check in checks)


def test_statistics_are_written_anew_and_nothing_else_changes(folder):
    file = init_data(folder, bands=Bands(tuple(NAMES))).file
    before = file.read_text()
    file.write_text(before.replace('mean: [', 'mean: [9'))
    known = write_statistics(file)
    assert file.read_text() == before and known.names == tuple(NAMES)
    file.write_text(before.replace('mean: [', 'mean:\n  [', 1))
    with pytest.raises(UserError, match='mean over several lines'):
        write_statistics(file)


def test_the_command_line_names_bands_and_computes_again(folder, capsys):
    argv = ['init-data', str(folder), '--bands', ','.join(NAMES), '--nodata', '0']
    assert main(argv) == 0
    file = folder / 'data.yaml'
    assert yaml.safe_load(file.read_text())['nodata'] == 0
    out = ['--out', str(folder.parent / 'out')]
    assert main(['check-data', str(file), '--statistics', *out]) == 0
    assert 'band nir: mean 39' in capsys.readouterr().out.replace('mean 40', 'mean 39')


def test_pixels_without_data_do_not_count(tmp_path):
    image = np.full((2, 3, 1), 5, np.float32)
    image[0, 0], image[1, 2] = np.nan, 8
    np.save(tmp_path / 'a.npy', image)
    bands = Bands(('nir',), axes='HWC', nodata='nan')
    known = statistics_of([str(tmp_path / 'a.npy')], bands)
    assert known.mean == (5.6,) and known.std == (1.2,)


def test_a_band_without_content_and_a_file_without_bands_are_refused(tmp_path):
    np.save(tmp_path / 'a.npy', np.full((2, 3, 1), 5, np.uint8))
    path = [str(tmp_path / 'a.npy')]
    with pytest.raises(UserError, match="'nir' has the value 5 alone"):
        statistics_of(path, Bands(('nir',), axes='HWC'))
    with pytest.raises(UserError, match="'nir' has no data"):
        statistics_of(path, Bands(('nir',), axes='HWC', nodata=5))
    Path(tmp_path, 'data.yaml').write_text('classes: [a, b]\nimages: images\nlabels: labels\n')
    with pytest.raises(UserError):
        write_statistics(tmp_path / 'data.yaml')


@pytest.mark.parametrize(
    'text, words',
    [
        ('mean: [1, 2]', 'mean without bands'),
        ('bands: [a, b]\nmean: [1]\nstd: [1]', 'mean has 1 numbers for 2 bands.*data.yaml'),
        ('bands: [a, a]', "'a' twice"),
        ('bands: [a, b]\nuse: [c]', 'bands.use'),
        ('bands: [a, b]\nmean: [1, 2]\nstd: [0, 1]', 'std'),
    ],
)
def test_wrong_words_in_a_data_file_are_one_line(tmp_path, text, words):
    file = tmp_path / 'data.yaml'
    head = 'name: a\nclasses: [x, y]\nimages: images\nlabels: labels\nsplit: {val: 0.2}\n'
    file.write_text(head + text)
    with pytest.raises(UserError, match=words):
        read_benchmark(str(file))


def test_images_of_several_bands_without_a_word_say_what_to_do(folder):
    with pytest.raises(UserError, match='has 5 bands: expected grey or RGB.*init-data DIR --bands'):
        init_data(folder)
