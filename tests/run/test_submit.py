"""Predictions for ACDC's test server: a zip for each condition, named and sized as its images."""

import json
import zipfile

import cv2
import numpy as np
import pytest

from rein_seg.apis import init_model, load_config, predict, train
from tests.cli.calls import assert_refused, call
from tests.run.tiny_run import tiny_config, write_config

CONDITIONS = ('fog', 'night', 'rain', 'snow')
IMAGE = 'acdc/rgb_anon/{}/test/GOPR0475/GOPR0475_frame_{:06}_rgb_anon.png'


def write_images(root, numbers=(1, 2)):
    for seed, condition in enumerate(CONDITIONS):
        for number in numbers:
            path = root / IMAGE.format(condition, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng((seed, number)).integers(0, 256, (40, 72, 3), np.uint8)
            cv2.imwrite(str(path), noise)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with a config and its adapter, and ACDC's test images."""
    folder = tmp_path_factory.mktemp('submit')
    train(tiny_config(folder, train_cfg__max_iters=2))
    write_images(folder / 'data')
    return folder


@pytest.fixture
def tool(trained):
    def run(*args, data='data', options=()):
        adapter = str(trained / 'run/adapter.safetensors')
        small = ('test_dataloader.batch_size=1', f'data_root={trained / data}', *options)
        args = ('test', write_config(trained), adapter, *args, '--cfg-options', *small)
        return call(*args)

    return run


def test_each_condition_is_packed(trained, tool, tmp_path):
    code, err = tool('--submit', 'acdc', '--work-dir', str(tmp_path / 'run'))
    assert code == 0, err
    folder = tmp_path / 'run/submit_acdc'
    assert sorted(p.name for p in folder.glob('*.zip')) == [f'{c}.zip' for c in CONDITIONS]
    cfg = load_config(write_config(trained))
    model = init_model(cfg, str(trained / 'run/adapter.safetensors'), device='cpu')
    for condition in CONDITIONS:
        with zipfile.ZipFile(folder / f'{condition}.zip') as archive:
            names = [f'GOPR0475_frame_{number:06}_rgb_anon.png' for number in (1, 2)]
            assert archive.namelist() == names
            for number, name in enumerate(names, 1):
                data = np.frombuffer(archive.read(name), np.uint8)
                label = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
                image = cv2.imread(str(trained / 'data' / IMAGE.format(condition, number)))
                assert label.dtype == np.uint8
                np.testing.assert_array_equal(label, predict(model, image))
    about = json.loads((folder / 'submission.json').read_text())
    assert about['images'] == dict.fromkeys(CONDITIONS, 2)
    assert about['archives']['night'] == 'night.zip'
    assert about['protocol'] == 'miniscapes-256x128'
    assert about['training']['benchmark'] == 'miniscapes'
    assert not (tmp_path / 'run/results.json').exists()


def test_the_same_predictions_make_the_same_archive(tool, tmp_path):
    for name in ('one', 'two'):
        out = str(tmp_path / name)
        code, err = tool('--submit', 'acdc', '--work-dir', str(tmp_path / 'run'), '--out', out)
        assert code == 0, err
    for condition in CONDITIONS:
        one, two = ((tmp_path / n / f'{condition}.zip').read_bytes() for n in ('one', 'two'))
        assert one == two


def test_what_cannot_be_submitted(tool, tmp_path):
    work = ('--work-dir', str(tmp_path))
    assert_refused(*tool('--submit', 'acdcc', *work), "did you mean 'acdc'")
    assert_refused(
        *tool('--submit', 'acdc', *work, data='nowhere'), 'acdc/rgb_anon/fog/test', 'ethz.ch'
    )
    options = ['model.test_cfg.mode=slide', 'model.test_cfg.crop_size=(64,64)']
    assert_refused(
        *tool('--submit', 'acdc', *work, options=[*options, 'model.test_cfg.stride=(32,32)']),
        'test_cfg.crop_size', "domain 'fog'",
    )  # fmt: skip
    both = ('--protocol', 'a', '--protocol', 'b')
    assert_refused(*tool('--submit', 'acdc', *work, *both), 'give one --protocol')
    assert not list(tmp_path.rglob('*.zip'))
