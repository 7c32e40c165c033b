"""Runs go on exactly, from whole checkpoints of their own, or say why they cannot."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from rein_seg.apis import train
from rein_seg.checkpoint import read_checkpoint
from rein_seg.errors import Terminated, UserError
from tests.run.tiny_run import tiny_config


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """An uninterrupted run of six iterations, with a checkpoint every second."""
    folder = tmp_path_factory.mktemp('uninterrupted')
    return folder, train(tiny_config(folder))


def begun(finished, tmp_path, *iterations):
    """Returns a folder like that of a run which was killed after these iterations."""
    (tmp_path / 'run').mkdir()
    for iteration in iterations:
        shutil.copy(finished[0] / f'run/iter_{iteration}.pth', tmp_path / 'run')
    return tmp_path


def config(finished, folder, **options):
    return tiny_config(folder, **{'data_root': str(finished[0] / 'scenes'), **options})


def edit(path, change):
    checkpoint = read_checkpoint(path)
    change(checkpoint)
    torch.save(checkpoint, path)  # our own writer refuses NaN


def trained(path):
    return read_checkpoint(path)['state_dict']


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


# ---- the folder of another run


def test_a_new_run_moves_the_old_run_of_its_folder(finished, tmp_path, capsys):
    folder = begun(finished, tmp_path, 4, 6)
    results = train(config(finished, folder, max_iters=2))
    assert results['iterations'] == 2
    assert sorted(path.name for path in (folder / 'run.1').glob('*.pth')) == [
        'iter_4.pth', 'iter_6.pth',
    ]  # fmt: skip
    assert [path.name for path in (folder / 'run').glob('*.pth')] == ['iter_2.pth']
    assert f'{folder}/run held a run, which is in {folder}/run.1 now' in capsys.readouterr().out
    train(config(finished, folder, max_iters=1))
    assert (folder / 'run.2/iter_2.pth').is_file()


def test_a_run_that_reads_from_the_folder_does_not_move_it(finished, tmp_path):
    folder = begun(finished, tmp_path, 6)
    inside = str(folder / 'run/iter_6.pth')
    with pytest.raises(UserError, match=f'cannot be moved away, since load_from={inside} lies'):
        train(config(finished, folder, load_from=inside))
    assert [path.name for path in folder.glob('run*')] == ['run']


def test_temporary_files_of_a_killed_run_are_removed(finished, tmp_path):
    folder = begun(finished, tmp_path, 6)
    stray = folder / 'run/.iter_6.pth.k2_x77ab.tmp'
    stray.write_bytes(b'half')
    train(config(finished, folder), resume=True)
    assert not stray.exists()
    assert not (folder / 'run/.lock').exists()


# ---- the settings


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'optim_wrapper__optimizer__lr': 0.5}, 'optim_wrapper.optimizer.lr is 0.001 there, 0.5'),
        ({'optim_wrapper__optimizer__type': 'SGD'}, "optimizer.type is 'AdamW' there, 'SGD' now"),
        ({'train_dataloader__batch_size': 1}, 'train_dataloader.batch_size is 2 there, 1 now'),
        ({'model__backbone__peft__num_tokens': 7}, 'backbone.peft.num_tokens is absent there, 7'),
        ({'train_dataloader__dataset__count': 5}, 'train_dataloader.dataset.count is 7 there, 5'),
        ({'ema__momentum': 0.1}, 'ema.momentum is absent there, 0.1 now'),
        ({'optim_wrapper__accumulative_counts': 2}, 'accumulative_counts is absent there, 2 now'),
        ({'amp': True}, 'amp is False there, True now'),
    ],
)
def test_settings_that_results_depend_on_are_refused(finished, tmp_path, options, told):
    folder, amp = begun(finished, tmp_path, 4), options.pop('amp', False)
    with pytest.raises(UserError, match=re.escape(told)):
        train(config(finished, folder, **options), resume=True, amp=amp)
    assert [path.name for path in (folder / 'run').iterdir()] == ['iter_4.pth']


def test_settings_without_effect_on_results_are_applied(finished, tmp_path):
    folder = begun(finished, tmp_path, 4)
    options = dict(
        log_level='WARNING', train_dataloader__num_workers=1, default_hooks__logger__interval=1,
        default_hooks__checkpoint__interval=1, default_hooks__checkpoint__max_keep_ckpts=5,
    )  # fmt: skip
    results = train(config(finished, folder, **options), resume=True)
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    assert not [text for text in results['changed'] if text.startswith('until')]
    assert (folder / 'run/iter_5.pth').is_file()


def test_another_length_is_recorded_with_its_iterations(finished, tmp_path):
    folder = begun(finished, tmp_path, 4)
    results = train(config(finished, folder, max_iters=8), resume=True)
    assert results['iterations'] == 8
    assert 'until iteration 4: max_iters 6' in results['training']['changed']


def test_a_finished_schedule_with_a_new_end_has_the_rates_of_a_longer_run(finished, tmp_path):
    options = dict(max_iters=10, param_scheduler__0__end=10)
    longer = tmp_path / 'longer'
    longer.mkdir()
    train(config(finished, longer, **options))
    folder = begun(finished, tmp_path, 6)
    train(config(finished, folder, **options), resume=True)
    rates = [
        [group['lr'] for group in read_checkpoint(run / 'iter_8.pth')['optimizer']['param_groups']]
        for run in (longer / 'run', folder / 'run')
    ]
    assert rates[0] == pytest.approx(rates[1], rel=1e-12)
    assert rates[0][0] == pytest.approx(0.001 * (1 - 8 / 9) ** 0.9)


def test_a_run_does_not_end_before_its_checkpoint(finished, tmp_path):
    folder = begun(finished, tmp_path, 4)
    with pytest.raises(UserError, match='max_iters=2 ends before iteration 4 of .*train longer'):
        train(config(finished, folder, max_iters=2), resume=True)


# ---- the checkpoint


def test_a_checkpoint_copied_alone_resumes(finished, tmp_path):
    shutil.copy(finished[0] / 'run/iter_2.pth', tmp_path / 'mine.pth')
    results = train(config(finished, tmp_path), resume_from=str(tmp_path / 'mine.pth'))
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    ids = [read_checkpoint(f / 'run/iter_6.pth')['meta']['run_id'] for f in (finished[0], tmp_path)]
    assert ids[0] == ids[1]


def test_a_checkpoint_without_a_digest_resumes_with_a_warning(finished, tmp_path):
    folder = begun(finished, tmp_path, 4)
    edit(folder / 'run/iter_4.pth', lambda content: content['meta'].pop('settings'))
    results = train(config(finished, folder), resume=True)
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    assert 'until iteration 4: settings not recorded' in results['training']['changed']


def test_a_config_that_is_not_its_digest_is_refused(finished, tmp_path):
    folder = begun(finished, tmp_path, 4)
    edit(folder / 'run/iter_4.pth', lambda c: c['meta'].update(settings='{}'))
    with pytest.raises(UserError, match='is not the one of its digest'):
        train(config(finished, folder), resume=True)


def moment(checkpoint):
    return checkpoint['optimizer']['state'][0]


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (lambda c: c.pop('optimizer'), "holds no optimizer state ('optimizer')"),
        (lambda c: c.pop('param_schedulers'), 'holds no schedules of the rates'),
        (lambda c: c['meta'].update(iter='4'), "meta.iter is '4', expected a whole number"),
        (lambda c: c['meta'].update(iter=2), 'meta.iter is 2, the name of the file says 4'),
        (lambda c: c['optimizer']['state'].pop(3), 'moments of 18 tensors, 19 were saved'),
        (lambda c: moment(c).update(exp_avg=torch.zeros(1)), 'exp_avg of tensor 0 is (1,)'),
        (lambda c: moment(c)['exp_avg'].fill_(torch.nan), 'exp_avg of tensor 0 is not finite'),
        (
            lambda c: moment(c).update(exp_avg=moment(c)['exp_avg'].half()),
            'exp_avg of tensor 0 is torch.float16, expected torch.float32',
        ),
        (
            lambda c: c['optimizer']['param_groups'].pop(),
            'it has [12] tensors in its groups, the model trains [12, 7]',
        ),
    ],
)
def test_an_optimizer_state_that_does_not_fit_is_refused(finished, tmp_path, change, told):
    folder = begun(finished, tmp_path, 4)
    edit(folder / 'run/iter_4.pth', change)
    with pytest.raises(UserError, match=re.escape(told)):
        train(config(finished, folder), resume=True)


def test_an_unreadable_checkpoint_names_the_whole_one_before(finished, tmp_path):
    folder = begun(finished, tmp_path, 2, 4, 6)
    for iteration in (4, 6):
        path = folder / f'run/iter_{iteration}.pth'
        path.write_bytes(path.read_bytes()[:1000])
    whole = folder / 'run/iter_2.pth'
    with pytest.raises(UserError, match=f'{whole} is whole: go on with --resume-from {whole}'):
        train(config(finished, folder), resume=True)
    results = train(config(finished, folder), resume_from=str(whole))
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    assert (folder / 'run/iter_6.pth.aside').stat().st_size == 1000


# ---- gradients that are accumulated, and the average


def test_accumulated_gradients_resume_at_whole_updates(finished, tmp_path):
    options = dict(optim_wrapper__accumulative_counts=3, ema__begin=1, ema__momentum=0.3)
    straight = tmp_path / 'straight'
    straight.mkdir()
    train(config(finished, straight, **options))
    names = sorted(path.name for path in (straight / 'run').glob('iter_*.pth'))
    assert names == ['iter_3.pth', 'iter_6.pth']  # every second iteration, at the next update
    (tmp_path / 'run').mkdir()
    shutil.copy(straight / 'run/iter_3.pth', tmp_path / 'run')
    train(config(finished, tmp_path, **options), resume=True)
    ours, theirs = (read_checkpoint(f / 'run/iter_6.pth') for f in (tmp_path, straight))
    for part in ('state_dict', 'raw_state_dict'):
        assert equal(ours[part], theirs[part]), part


@pytest.mark.parametrize('form', ['one', 'each'])
def test_several_sizes_resume_bit_for_bit(finished, tmp_path, form):
    options = dict(model__multi_scale=form, model__multi_scale_ratios=(1.0, 2.0))
    straight = tmp_path / 'straight'
    straight.mkdir()
    whole = train(config(finished, straight, **options))
    (tmp_path / 'run').mkdir()
    shutil.copy(straight / 'run/iter_2.pth', tmp_path / 'run')
    resumed = train(config(finished, tmp_path, **options), resume=True)
    assert resumed['parameters_sha256'] == whole['parameters_sha256']
    assert resumed['parameters_sha256'] != finished[1]['parameters_sha256']


def test_the_average_counts_updates(finished, tmp_path):
    options = dict(optim_wrapper__accumulative_counts=3, ema__momentum=0.25)
    train(config(finished, tmp_path, ema__begin=1, **options))
    first, last = (read_checkpoint(tmp_path / f'run/iter_{i}.pth') for i in (3, 6))
    for name, begin in first['raw_state_dict'].items():
        assert torch.equal(first['state_dict'][name], begin)
        average = torch.lerp(begin, last['raw_state_dict'][name], 0.25)
        assert torch.allclose(last['state_dict'][name], average, atol=1e-7)
    with pytest.raises(UserError, match='begins at update 2 of the optimizer, the run ends at 2'):
        train(config(finished, tmp_path, ema__begin=2, **options))


# ---- signals


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends a signal to its own process after an iteration."""

    priority = 'VERY_LOW'

    def __init__(self, at, number=signal.SIGTERM):
        self.at, self.number = at, number

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.at:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ('number', 'kind'), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_saves_a_checkpoint_to_go_on_from(finished, tmp_path, number, kind):
    cfg = config(finished, tmp_path)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SignalHook', at=1, number=int(number))]
    with pytest.raises(kind, match=r'saved .*/run/iter_1.pth; go on with --resume') as caught:
        train(cfg)
    assert type(caught.value) is kind
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    edit(tmp_path / 'run/iter_1.pth', without_hook)
    results = train(config(finished, tmp_path), resume=True)
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    assert equal(trained(tmp_path / 'run/iter_6.pth'), trained(finished[0] / 'run/iter_6.pth'))


def without_hook(checkpoint):
    """Takes the hook that sends the signal out of the stored config: its digest is void."""
    content = json.loads(checkpoint['meta'].pop('settings'))
    assert content['custom_hooks'].pop()['type'] == 'SignalHook'


def test_accumulated_gradients_are_whole_before_a_signal_stops(finished, tmp_path):
    cfg = config(finished, tmp_path, optim_wrapper__accumulative_counts=3)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SignalHook', at=1)]
    with pytest.raises(Terminated, match='iter_3.pth'):
        train(cfg)


def test_the_last_checkpoint_is_named(finished, tmp_path):
    folder = begun(finished, tmp_path, 4)
    train(config(finished, folder), resume=True)
    last = Path((folder / 'run/last_checkpoint').read_text())
    assert last == folder / 'run/iter_6.pth'
