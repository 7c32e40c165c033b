"""An adversarial run through the real runner: resumed exactly, logged, stored, refused."""

import json
import re
import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

import rein_seg
from rein_seg.apis import test as run_test
from rein_seg.apis import train
from rein_seg.checkpoint import read_adapter, read_checkpoint
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import NotFinite, UserError
from rein_seg.run.replay import replay
from tests.run.tiny_run import tiny_config

VIT = dict(
    type='TinyViT',
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=(32, 64),
    init_seed=1,
)
OPTIONS = {
    'model.type': 'AdversarialSegmentor',
    'model.critic': dict(type='Critic', encoder=VIT),
    'model.decode_head.dropout_ratio': 0.3,
    'optim_wrapper.constructor': 'AdversarialOptimConstructor',
    'optim_wrapper.critic': dict(optimizer=dict(type='AdamW', lr=5e-4, betas=(0.5, 0.9))),
}


def config(folder, **options):
    named = {key.replace('__', '.'): value for key, value in options.items()}
    return tiny_config(folder, **{**OPTIONS, **named})


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """An uninterrupted run of six iterations, with a checkpoint every second."""
    folder = tmp_path_factory.mktemp('uninterrupted')
    return folder, train(config(folder))


def resumed(finished, folder, iteration=4, **options):
    """Returns the results of a run that goes on after an iteration of the finished run."""
    (folder / 'run').mkdir()
    shutil.copy(finished[0] / f'run/iter_{iteration}.pth', folder / 'run')
    return train(config(folder, data_root=str(finished[0] / 'scenes'), **options), resume=True)


def flat(value, name=''):
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in flat(part, f'{name}.{key}').items()}
    if isinstance(value, (list, tuple)):
        return flat(dict(enumerate(value)), name)
    return {name: value}


def assert_same_state(first, second):
    """Compares weights, moments of both optimizers and schedules, to the bit."""
    for part in ('state_dict', 'raw_state_dict', 'optimizer', 'param_schedulers'):
        ours, theirs = flat(first.get(part)), flat(second.get(part))
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            other = theirs[name]
            same = torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
            assert same, (part, name)


def test_a_resumed_run_ends_with_the_same_bits(finished, tmp_path):
    results = resumed(finished, tmp_path)
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    first, second = (read_checkpoint(f / 'run/iter_6.pth') for f in (finished[0], tmp_path))
    assert_same_state(first, second)
    assert [n for n in first['state_dict'] if n.startswith('critic.')]
    assert first['optimizer'].keys() == {'generator', 'critic'}


def test_a_run_with_averaged_weights_is_resumed_exactly_too(finished, tmp_path):
    options = dict(ema__begin=2, ema__momentum=0.1, data_root=str(finished[0] / 'scenes'))
    whole, part = tmp_path / 'whole', tmp_path / 'part'
    whole.mkdir()
    part.mkdir()
    train(config(whole, **options))
    (part / 'run').mkdir()
    shutil.copy(whole / 'run/iter_4.pth', part / 'run')
    train(config(part, **options), resume=True)
    assert_same_state(*(read_checkpoint(f / 'run/iter_6.pth') for f in (whole, part)))


def test_a_new_end_moves_the_rates_of_both(finished, tmp_path):
    options = dict(max_iters=10, param_scheduler__0__end=10)
    resumed(finished, tmp_path, iteration=4, **options)
    longer = tmp_path / 'longer'
    longer.mkdir()
    train(config(longer, data_root=str(finished[0] / 'scenes'), **options))
    for name in ('generator', 'critic'):
        rates = [
            [group['lr'] for group in read_checkpoint(path)['optimizer'][name]['param_groups']]
            for path in (longer / 'run/iter_8.pth', tmp_path / 'run/iter_8.pth')
        ]
        assert rates[0] == pytest.approx(rates[1], rel=1e-12)


def test_logs_show_both_losses_and_both_rates(finished):
    lines = next((finished[0] / 'run').rglob('scalars.json')).read_text().splitlines()
    first = json.loads(lines[0])
    wanted = ('loss', 'loss_critic', 'loss_adversarial', 'critic.loss_distance', 'lr', 'critic_lr')
    assert set(wanted) <= first.keys()
    assert first['critic_lr'] == pytest.approx(first['lr'] / 2)  # 5e-4 beside 1e-3
    assert first['critic.loss_penalty'] > 0 and first['critic_grad_norm'] > 0


def test_the_adapter_has_no_critic_and_predicts(finished):
    adapter = read_adapter(finished[0] / 'run/adapter.safetensors')
    assert adapter.tensors and not [n for n in adapter.tensors if 'critic' in n]
    predictor = rein_seg.load(finished[0] / 'run/adapter.safetensors')
    assert predictor.model.critic is None
    assert predictor.predict(torch.zeros(32, 64, 3).byte().numpy()).map.shape == (32, 64)


@pytest.mark.parametrize('file', ['adapter.safetensors', 'iter_6.pth'])
def test_its_files_are_tested_to_the_same_scores(finished, tmp_path, file):
    cfg = config(tmp_path, data_root=str(finished[0] / 'scenes'))
    found = run_test(cfg, str(finished[0] / 'run' / file))
    assert found['domains'] == finished[1]['domains']


def test_parameters_are_of_the_generator(finished):
    adapter = read_adapter(finished[0] / 'run/adapter.safetensors')
    trained = sum(tensor.numel() for tensor in adapter.tensors.values())
    assert finished[1]['parameters']['trainable'] == trained


def test_a_run_starts_from_a_generator_trained_alone(finished, tmp_path):
    alone = tmp_path / 'alone'
    alone.mkdir()
    data = dict(data_root=str(finished[0] / 'scenes'))
    train(tiny_config(alone, max_iters=2, param_scheduler__0__end=2, **data))
    results = train(config(tmp_path, load_from=str(alone / 'run/iter_2.pth'), **data))
    assert any('starts from iter_2.pth' in text for text in results['training']['changed'])


# ---- losses that are not finite


@HOOKS.register_module()
class SpoilPartHook(Hook):
    """Makes a weight so large that its products overflow, before an iteration."""

    def __init__(self, name, iteration):
        self.name, self.iteration = name, iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            dict(runner.model.named_parameters())[self.name].data.fill_(3e38)


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('critic.score.2.bias', 'iteration 3: critic.loss_distance is nan'),
        ('decode_head.conv_seg.weight', 'iteration 3: critic.loss_distance is nan'),
    ],
)
def test_a_loss_of_either_that_is_not_finite_stops_the_run(finished, tmp_path, name, told):
    spoil = dict(type='SpoilPartHook', name=name, iteration=2)
    cfg = config(tmp_path, data_root=str(finished[0] / 'scenes'))
    cfg.custom_hooks.append(spoil)
    with pytest.raises(NotFinite, match=re.escape(told)):
        train(cfg)
    file = str(tmp_path / 'run/not_finite_iter_3.pth')
    repeated = config(tmp_path, data_root=str(finished[0] / 'scenes'))
    with pytest.raises(NotFinite, match='critic.loss_distance is nan'):
        replay(repeated, file)


# ---- refusals, before work starts


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'optim_wrapper__critic': None}, 'optim_wrapper.critic=None: AdversarialSegmentor trains'),
        (
            {'optim_wrapper__constructor': 'TrainableOptimConstructor'},
            "constructor='TrainableOptimConstructor' builds one optimizer",
        ),
        ({'optim_wrapper__accumulative_counts': 2}, 'optim_wrapper.accumulative_counts=2'),
        (
            {'optim_wrapper__critic__accumulative_counts': 2},
            'optim_wrapper.critic.accumulative_counts=2',
        ),
        ({'compile': True}, 'compile=True: the gradient of the critic is differentiated again'),
        ({'model__type': 'PEFTSegmentor', 'model__critic': None}, "takes no 'critic'"),
        ({'optim_wrapper__critic__optimizer__lr': -1.0}, 'optim_wrapper.critic.optimizer.lr=-1.0'),
        ({'optim_wrapper__critic__optimiser': 1}, "takes no 'optimiser'"),
        ({'model__critic__encoder__type': 'TinyVit'}, "model.critic.encoder.type='TinyVit'"),
        ({'param_scheduler__0__eta_min': 8e-4}, 'above optim_wrapper.critic.optimizer.lr=0.0005'),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path, options, told):
    with pytest.raises(UserError, match=re.escape(told)):
        train(config(tmp_path, **options))
    assert not (tmp_path / 'run').exists()


def test_several_processes_are_refused(tmp_path):
    request = Request(training=True, launcher='pytorch')
    with pytest.raises(UserError, match="launcher='pytorch': AdversarialSegmentor trains in one"):
        resolve(config(tmp_path), request)


def test_autocast_is_refused(tmp_path):
    with pytest.raises(UserError, match='penalty on the gradient of the critic needs float32'):
        train(config(tmp_path), amp=True)


def test_a_critic_without_an_adversarial_model_is_refused(tmp_path):
    cfg = tiny_config(tmp_path, **{'optim_wrapper.critic': OPTIONS['optim_wrapper.critic']})
    with pytest.raises(UserError, match="optim_wrapper has a critic, model.type='PEFTSegmentor'"):
        train(cfg)


def test_a_checkpoint_without_the_state_of_the_critic_is_refused(finished, tmp_path):
    path = tmp_path / 'run/iter_4.pth'
    path.parent.mkdir()
    checkpoint = read_checkpoint(finished[0] / 'run/iter_4.pth')
    del checkpoint['optimizer']['critic']
    torch.save(checkpoint, path)
    cfg = config(tmp_path, data_root=str(finished[0] / 'scenes'))
    with pytest.raises(UserError, match='it has no state of the critic'):
        train(cfg, resume=True)
