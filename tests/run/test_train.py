"""Real runs: what they leave, that they resume exactly, on one process and on two."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch

from rein_seg import apis
from rein_seg.apis import init_model, predict, train
from rein_seg.checkpoint import read_adapter
from rein_seg.errors import UserError
from tests.paths import REPO
from tests.peft.formulas import rein_formula
from tests.run.tiny_run import tiny_config, write_config

# the number of threads changes the order of sums, hence the last bit
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


def run_tool(*args):
    return subprocess.run(args, cwd=REPO, env=ENV, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """One finished run: its folder and its results."""
    folder = tmp_path_factory.mktemp('finished')
    return folder, train(tiny_config(folder))


def test_a_run_leaves_its_files(finished):
    folder, results = finished
    run = folder / 'run'
    names = {p.name for p in run.iterdir()}
    wanted = {'results.json', 'adapter.safetensors', 'overview.png', 'environment.json', 'tiny.py'}
    assert wanted | {'report.json', 'report.html'} <= names
    assert {f'iter_{i}.pth' for i in (2, 4, 6)} <= names
    log = next(run.glob('*/*.log')).read_text()
    assert log.count('fast forms: ') == 1
    assert '; off with REIN_SEG_FAST=0' in log
    assert not [n for n in names if n.endswith('.tmp')]
    assert json.loads((run / 'results.json').read_text()) == results


def test_report_agrees_with_the_scores(finished):
    folder, results = finished
    report = json.loads((folder / 'run/report.json').read_text())
    assert list(report['domains']) == ['clear', 'night']
    for name, found in report['domains'].items():
        matrix = np.array(found['confusion'])
        accuracy = 100 * matrix.trace() / matrix.sum()
        assert accuracy == pytest.approx(results['domains'][name]['aAcc'])
        # small images: every labelled pixel
        assert sum(found['calibration']['pixels']) == matrix.sum()
        assert sum(found['calibration']['right']) == matrix.trace()
        assert 0 < found['calibration']['error'] < 100
        assert len(found['pictures']) == 3
    curves, mean = report['curves'], results['mean_over_targets']['mIoU']
    assert [step for step, _ in curves['train']['loss']] == [2, 4, 6]
    assert curves['validation']['night/mIoU'] == [[6, pytest.approx(mean)]]
    assert {'lr', 'grad_norm', 'decode.loss_ce'} <= set(curves['train'])


def test_results_say_what_was_done(finished):
    folder, results = finished
    assert results['protocol'] == 'miniscapes-256x128'
    assert results['source'] == 'clear'
    assert list(results['domains']) == ['clear', 'night']
    assert len(results['domains']['night']['IoU']) == 19
    assert results['mean_over_targets']['mIoU'] == results['domains']['night']['mIoU']
    assert results['iterations'] == 6
    assert results['seed'] == 3
    assert results['method']['type'] == 'Rein'
    assert results['encoder']['weights'] == 'random:seed=0'
    assert results['peak_memory_mib'] > 100
    assert results['seconds']['per_iteration'] > 0
    assert results['parameters']['method'] == rein_formula(2, 32)
    assert results['environment']['packages']['torch'] == torch.__version__.split('+')[0]


def test_adapter_holds_the_trained_tensors(finished):
    folder, results = finished
    adapter = read_adapter(folder / 'run/adapter.safetensors')
    assert sum(t.numel() for t in adapter.tensors.values()) == results['parameters']['trainable']
    assert results['adapter']['tensor_bytes'] == 4 * results['parameters']['trainable']
    assert adapter.metadata['scores']['mIoU'].keys() == {'clear', 'night'}
    assert 'Rein' in adapter.metadata['config']
    # the config names scenes and work folder by absolute paths
    assert str(folder) not in json.dumps(adapter.metadata)
    assert str(folder) in (folder / 'run/tiny.py').read_text()


def test_overview_has_a_row_for_each_domain(finished):
    picture = cv2.imread(str(finished[0] / 'run/overview.png'))
    assert picture.shape[1] == 3 * 320 + 2 * 6
    assert picture.shape[0] > 2 * 160


def test_load_from_does_not_replace_the_weights_under_test(finished, tmp_path):
    folder, results = finished
    cfg = tiny_config(folder, load_from=str(folder / 'run/iter_2.pth'))
    cfg.work_dir = str(tmp_path)
    again = apis.test(cfg, str(folder / 'run/adapter.safetensors'))
    assert again['domains'] == results['domains']


@pytest.mark.parametrize('weights', ['adapter.safetensors', 'iter_6.pth'])
def test_testing_reproduces_the_scores(finished, tmp_path, weights):
    folder, results = finished
    cfg = tiny_config(folder)
    cfg.work_dir = str(tmp_path)
    again = apis.test(cfg, str(folder / 'run' / weights))
    assert again['domains'] == results['domains']
    assert (tmp_path / 'results.json').is_file()


def test_a_protocol_that_was_asked_for_is_in_protocols_too(finished, tmp_path):
    folder, results = finished
    cfg = tiny_config(folder)
    cfg.work_dir = str(tmp_path)
    name = 'miniscapes-256x128'
    again = apis.test(cfg, str(folder / 'run/adapter.safetensors'), protocols=[name])
    assert list(again['protocols']) == [name]
    assert again['protocols'][name]['domains'] == again['domains'] == results['domains']
    assert (again['selection'], again['training']) == ('last', results['training'])
    # the tiny run is another one in every part
    for part in (
        'training data of clear.count 7 instead of 400',
        'crop_size',
        'test data',
        'metric',
    ):
        assert any(text.startswith(part) for text in again['changed']), part


def test_predictions_and_pictures_are_written(finished, tmp_path):
    folder, results = finished
    result = run_tool(
        sys.executable, 'tools/test.py', write_config(folder),
        str(folder / 'run/adapter.safetensors'), '--work-dir', str(tmp_path / 'test'),
        '--out', str(tmp_path / 'out'), '--show-dir', str(tmp_path / 'show'),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    names = sorted(p.relative_to(tmp_path / 'out').as_posix() for p in tmp_path.rglob('out/*/*'))
    assert names == [f'{d}/0000{i}.png' for d in ('clear', 'night') for i in range(3)]
    label = cv2.imread(str(tmp_path / 'out/night/00001.png'), cv2.IMREAD_UNCHANGED)
    assert label.shape == (32, 64)
    assert list((tmp_path / 'show').rglob('*.png'))


def test_model_in_a_program(finished):
    folder, results = finished
    model = init_model(tiny_config(folder), str(folder / 'run/adapter.safetensors'))
    assert len(model.dataset_meta['classes']) == 19
    image = cv2.imread(next(str(p) for p in folder.rglob('night/val/images/00000.png')))
    label = predict(model, image)
    assert label.shape == (32, 64)
    assert label.max() < 19
    with pytest.raises(UserError, match='expected uint8'):
        predict(model, image.astype(float))


@pytest.mark.parametrize('method', ['LoRA', 'Frozen', 'Full'])
def test_the_method_is_one_word(tmp_path, method):
    cfg = tiny_config(tmp_path, model__backbone__peft__type=method, train_cfg__max_iters=2)
    results = train(cfg)
    assert results['method']['type'] == method
    assert (results['parameters']['method'] == 0) == (method == 'Frozen')


@pytest.mark.parametrize('method', ['lora', 'frozen', 'full'])
def test_configs_beside_the_demo(tmp_path, method):
    results = train(tiny_config(tmp_path, base=f'{method}_tiny_miniscapes', train_cfg__max_iters=1))
    assert results['method']['type'].lower() == method


def test_loss_falls(tmp_path):
    cfg = tiny_config(tmp_path, train_cfg__max_iters=30, train_cfg__val_interval=30)
    cfg.optim_wrapper.optimizer.lr = 0.01
    cfg.default_hooks.logger.interval = 1
    cfg.param_scheduler = []
    train(cfg)
    lines = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    losses = [json.loads(line)['loss'] for line in lines if '"loss"' in line]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_amp_trains_in_bfloat16(tmp_path):
    results = train(tiny_config(tmp_path, train_cfg__max_iters=2), amp=True)
    assert all(d['mIoU'] >= 0 for d in results['domains'].values())


def test_activation_checkpointing_trains_the_same(tmp_path, finished):
    cfg = tiny_config(
        tmp_path,
        model__backbone__activation_checkpointing=True,
        data_root=str(finished[0] / 'scenes'),
    )
    assert train(cfg)['domains'].keys() == finished[1]['domains'].keys()


def test_resume_in_the_middle_equals_an_uninterrupted_run(tmp_path, finished):
    cfg = tiny_config(tmp_path)
    cfg.train_cfg.max_iters = 4
    cfg.train_cfg.val_interval = 3  # a validation in between must not matter
    train(cfg)
    cfg = tiny_config(tmp_path)
    results = train(cfg, resume=True)
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']


def test_resuming_a_complete_run_evaluates_it(finished):
    folder, results = finished
    again = train(tiny_config(folder), resume=True)
    assert again['domains'] == results['domains']


@pytest.mark.slow
def test_killed_run_resumes_exactly(tmp_path):
    """SIGKILL at an arbitrary moment, with workers; dropout and augmentation are on."""
    options = [
        '--cfg-options',
        'model.decode_head.dropout_ratio=0.3',
        'train_dataloader.num_workers=2',
        'train_cfg.max_iters=40',
        'param_scheduler.0.end=60',
        'train_cfg.val_interval=15',
        'default_hooks.checkpoint.max_keep_ckpts=30',
        'ema.begin=10',
        'ema.momentum=0.1',
    ]
    config = write_config(tmp_path)
    command = [sys.executable, 'tools/train.py', config, '--work-dir']
    straight = run_tool(*command, str(tmp_path / 'straight'), *options)
    assert straight.returncode == 0, straight.stderr[-2000:]
    # between two validations log histories do not grow
    sizes = [(tmp_path / f'straight/iter_{n}.pth').stat().st_size for n in (32, 36, 40)]
    assert max(sizes) - min(sizes) < 512  # parts of the file begin at multiples of 64 bytes
    victim = subprocess.Popen(
        [*command, str(tmp_path / 'killed'), *options], cwd=REPO, env=ENV, stdout=subprocess.DEVNULL
    )
    deadline = time.time() + 120
    while not (tmp_path / 'killed/iter_18.pth').exists() and time.time() < deadline:
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / 'killed/results.json').exists()
    resumed = run_tool(*command, str(tmp_path / 'killed'), '--resume', *options)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert re.search(r'resumed epoch: \d+, iter: \d+', resumed.stdout)
    for part in ('state_dict', 'raw_state_dict'):  # the average, and what is averaged
        a, b = (
            torch.load(tmp_path / name / 'iter_40.pth', weights_only=False)[part]
            for name in ('straight', 'killed')
        )
        assert a.keys() == b.keys()
        assert max((a[k] - b[k]).abs().max().item() for k in a) == 0


BATCH_NORM = """
model = dict(backbone=dict(peft=dict(type='LoRA')), decode_head=dict(
    _delete_=True, type='FCNHead', channels=8, num_convs=1,
    in_index=-1, norm_cfg=dict(type='BN')))
"""


@pytest.mark.slow
def test_two_processes_end_with_identical_parameters(tmp_path):
    config = write_config(tmp_path, extra=BATCH_NORM)
    averaged = ['--cfg-options', 'ema.begin=2', 'ema.momentum=0.2']
    result = run_tool(
        'tools/dist_train.sh', config, '2', '--work-dir', str(tmp_path / 'run'), *averaged
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'all 2 ranks ended with identical parameters' in result.stdout
    assert 'find_unused_parameters' not in (tmp_path / 'run/tiny.py').read_text()
    results = json.loads((tmp_path / 'run/results.json').read_text())
    assert results['processes'] == 2
    assert [d['images'] for d in results['domains'].values()] == [3, 3]
    again = run_tool(
        'tools/dist_test.sh',
        config,
        str(tmp_path / 'run/adapter.safetensors'),
        '2',
        '--work-dir',
        str(tmp_path / 'test'),
    )
    assert again.returncode == 0, again.stderr[-3000:]
    scores = json.loads((tmp_path / 'test/results.json').read_text())['domains']
    assert scores == results['domains']
