"""Two tasks in one run: files, a resume, predictions of each task, a second stage."""

import json

import numpy as np
import pytest
import torch

import rein_seg
from rein_seg.apis import init_model, train
from rein_seg.apis import test as run_test
from rein_seg.checkpoint import read_adapter, read_checkpoint
from rein_seg.checkpoint.load import load_but_method
from rein_seg.compare.stored import show_results
from rein_seg.config.checks import check_run
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from rein_seg.run.report import report
from tests.run.tasks_run import STAGE_2, encoder_sha256, tasks_config


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tasks')
    return folder, train(tasks_config(folder))


def test_every_task_is_scored(finished):
    folder, results = finished
    assert list(results['tasks']) == ['semantic', 'road']
    assert results['domains'] == results['tasks']['semantic']['domains']
    assert list(results['tasks']['road']['domains']['night']['IoU']) == ['background', 'road']
    assert len(results['domains']['night']['IoU']) == 19
    assert results['training']['classes'][-1] == 'background'
    assert set(results['reconstructions']) == {'LVAdapter', 'AlignmentHead'}
    written = {path.name for path in (folder / 'run').iterdir()}
    names = ('report', 'report_road')
    assert {f'{n}.{kind}' for n in names for kind in ('html', 'json')} <= written
    assert {'overview.png', 'overview_road.png'} <= written
    content = json.loads((folder / 'run/report_road.json').read_text())
    assert content['classes'] == ['background', 'road']
    pixels = np.array(content['domains']['night']['confusion']).sum()
    assert 0 < pixels <= 2 * 32 * 64
    log = next((folder / 'run').glob('2*/*.log')).read_text()
    assert 'task semantic, protocol' in log
    assert 'task road, protocol' in log
    assert 'semantic.decode.loss_ce' in log
    assert 'road.aux_0.loss_ce' in log


def test_the_adapter_file_knows_the_tasks(finished):
    folder, results = finished
    held = read_adapter(folder / 'run/adapter.safetensors')
    assert list(held.metadata['tasks']) == ['semantic', 'road']
    assert held.metadata['scores']['tasks']['road']['mIoU']['night'] == pytest.approx(
        results['tasks']['road']['domains']['night']['mIoU']
    )
    assert {name.split('.')[0] for name in held.tensors} == {
        'neck', 'decode_heads',
    }  # fmt: skip
    again = run_test(tasks_config(folder, name='again'), str(folder / 'run/adapter.safetensors'))
    for task, one in again['tasks'].items():
        assert one['domains'] == results['tasks'][task]['domains']
    (folder / 'run/report_road.html').unlink()
    report(folder / 'run')
    assert (folder / 'run/report_road.html').is_file()


def test_each_task_can_be_predicted(finished):
    folder, _ = finished
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    path = folder / 'run/adapter.safetensors'
    default, semantic, road = (
        rein_seg.load(path, device='cpu', task=task) for task in (None, 'semantic', 'road')
    )
    assert road.classes == ('background', 'road')
    assert default.classes == semantic.classes
    assert len(default.classes) == 19
    assert (default.predict(image).map == semantic.predict(image).map).all()
    assert road.predict(image, scores=True).scores.shape[0] == 2
    with pytest.raises(UserError, match=r"task='raod' is no task of .*did you mean 'road'"):
        rein_seg.load(path, device='cpu', task='raod')
    of_checkpoint = rein_seg.load(folder / 'run/iter_6.pth', device='cpu', task='road')
    assert (of_checkpoint.predict(image).map == road.predict(image).map).all()


def test_a_resumed_run_is_the_same(finished):
    folder, results = finished
    cfg = tasks_config(folder, name='resumed')
    resumed = train(cfg, resume_from=str(folder / 'run/iter_4.pth'))
    assert resumed['parameters_sha256'] == results['parameters_sha256']
    assert resumed['tasks'] == results['tasks']


def test_the_first_stage_leaves_the_encoder_and_the_second_changes_it(finished, caplog):
    folder, _ = finished
    adapter = str(folder / 'run/adapter.safetensors')
    before = encoder_sha256(init_model(tasks_config(folder), device='cpu'))
    after = encoder_sha256(init_model(tasks_config(folder), adapter, device='cpu'))
    assert before == after
    cfg = tasks_config(folder, STAGE_2, name='second', load_from=adapter, max_iters=2)
    results = train(cfg)
    changed = results['training']['changed'][-1]
    assert changed.startswith('starts from adapter.safetensors')
    assert changed.endswith('without its method')
    log = next((folder / 'second').glob('2*/*.log')).read_text()
    assert 'its method, Frozen, is left out: Full starts anew' in log
    model = init_model(cfg, str(folder / 'second/adapter.safetensors'), device='cpu')
    assert encoder_sha256(model) != before


def test_the_second_stage_starts_from_the_first(finished):
    folder, _ = finished
    paths = ('run/adapter.safetensors', 'run/iter_6.pth')
    for path in paths:
        cfg = tasks_config(folder, STAGE_2, name='start', load_from=str(folder / path))
        model = init_model(cfg, device='cpu')
        first = encoder_sha256(model)
        assert 'text, neck and heads from' in load_but_method(folder / path, model)
        assert encoder_sha256(model) == first
        held = read_checkpoint(str(folder / 'run/iter_6.pth'))['state_dict']
        own = model.state_dict()
        assert all(torch.equal(own[name], held[name]) for name in held)


def test_what_the_second_stage_refuses(finished, tmp_path):
    folder, _ = finished
    adapter = str(folder / 'run/adapter.safetensors')
    cfg = tasks_config(folder, STAGE_2, name='refused', load_from=adapter, new_method=False)
    with pytest.raises(UserError, match='is an adapter file'):
        train(cfg)
    cfg = tasks_config(folder, STAGE_2, name='refused', load_from=adapter)
    cfg.model.neck.out_channels = 24
    with pytest.raises(UserError, match='Wrong shape: '):
        train(cfg)
    cfg = tasks_config(folder, STAGE_2, name='refused', load_from=None)
    with pytest.raises(UserError, match='new_method=True .*load_from names no file'):
        train(cfg)


TURNED = "\n{}_dataloader['dataset']['datasets'].reverse()\n"


def test_data_may_have_the_tasks_in_any_order(finished):
    folder, _ = finished
    cfg = tasks_config(folder, name='turned', extra=TURNED.format('val'))
    checked = check_run(resolve(cfg, Request(training=True)).cfg, training=True)
    assert (checked.classes[0], checked.classes[-1]) == ('road', 'background')


def test_tasks_take_the_same_turns_after_a_resume(finished):
    folder, _ = finished
    cfg = tasks_config(folder, name='turned', extra=TURNED.format('train'))
    with pytest.raises(UserError, match='of a run with other settings'):
        train(cfg, resume_from=str(folder / 'run/iter_4.pth'))


def test_tables_of_runs_have_every_task(finished):
    folder, results = finished
    shown = show_results([folder / 'run'])
    assert 'Task semantic.' in shown
    assert 'Task road.' in shown
    mean = results['tasks']['road']['mean_over_targets']['mIoU']
    assert f'{mean:.2f}' in shown
