"""Wrong values, words and options end in one line that names the key, before anything is built."""

import argparse
import re

import pytest
from mmengine.config import Config

from rein_seg.apis import load_config
from rein_seg.cli.arguments import add_options
from rein_seg.config.read import read
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from tests.config.wrong_values import VALUES, WORDS, write_base


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    return Config(read(write_base(tmp_path_factory.mktemp('base'))).content)


def refusal(base, option):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    with pytest.raises((UserError, argparse.ArgumentError)) as caught:
        options = parser.parse_args(['--cfg-options', option]).cfg_options
        resolve(base, Request(options=options, training=True))
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize('key', VALUES)
def test_a_wrong_value_is_refused_by_its_key(base, key):
    for value in VALUES[key]:
        message = refusal(base, f'{key}={value}')
        ways_out = 'expected|registered|did you mean|known:|is above'
        assert re.search(rf'{re.escape(key)}\b.*({ways_out})', message), value


@pytest.mark.parametrize('option', WORDS)
def test_a_word_that_nothing_takes_is_refused(base, option):
    assert re.search(WORDS[option], refusal(base, option))


RIGHT = {
    'optim_wrapper.optimizer.lr': 1e-05,
    'optim_wrapper.optimizer.betas': [0.8, 0.99],
    'optim_wrapper.optimizer.amsgrad': True,
    'optim_wrapper.accumulative_counts': 2,
    'optim_wrapper.clip_grad': None,
    'optim_wrapper.clip_grad.norm_type': float('inf'),
    'train_dataloader.dataset.pipeline.2.prob': 0,
    'train_dataloader.num_workers': 2,
    'default_hooks.checkpoint.max_keep_ckpts': -1,
    'default_hooks.checkpoint.interval': -1,
    'default_hooks.checkpoint.save_best': ['clear/mIoU', 'night/mIoU'],
    'default_hooks.timer': None,
    'custom_hooks.0.priority': 'LOW',
    'model.backbone.peft.rank': 0,
    'model.backbone.encoder.img_size': 64,
    'model.test_cfg.batch_windows': 3,
    'model.test_cfg.window_memory': 512,
    'val_evaluator.targets': ['night'],
    'randomness.deterministic': True,
    'randomness.seed': None,
    'ema.momentum': 0.01,
    'compile': True,
    'auto_scale_lr': None,
    'log_level': 'DEBUG',
}


@pytest.mark.parametrize('key', RIGHT)
def test_a_right_value_passes(base, key):
    assert resolve(base, Request(options={key: RIGHT[key]}))


def test_a_value_names_the_file_that_sets_it(tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_text(
        "_base_ = 'rein_tiny_miniscapes'\noptim_wrapper = dict(clip_grad=dict(max_norm=-1))"
    )
    message = rf'clip_grad.max_norm=-1: expected a number, above 0; correct it in {path}'
    with pytest.raises(UserError, match=message):
        load_config(str(path))


def test_a_class_of_another_kind_is_called_so(base):
    message = "type='LoRA' is registered as peft method, not as dataset: give a dataset here"
    assert message in refusal(base, 'train_dataloader.dataset.type=LoRA')


SLIPS = [
    ("optimizer=dict(lr='1e-3')", "lr='1e-3': expected .* it is text: write the number without"),
    ('accumulative_counts=1e1', 'counts=10.0: expected a whole number, .*; write 10; correct'),
    ("clip_grad='{}'", 'text holds no dict: set its parts, KEY.PART=VALUE'),
]


@pytest.mark.parametrize(('part', 'message'), SLIPS)
def test_a_value_that_is_nearly_right_says_how(tmp_path, part, message):
    path = tmp_path / 'leaf.py'
    path.write_text(f"_base_ = 'rein_tiny_miniscapes'\noptim_wrapper = dict({part})\n")
    with pytest.raises(UserError, match=message):
        load_config(str(path))


def test_none_over_a_part_names_its_file(tmp_path):
    path = tmp_path / 'leaf.json'
    path.write_text('{"_base_": "rein_tiny_miniscapes", "model": null}')
    with pytest.raises(UserError, match=f'model=None: expected a dict .* correct it in {path}'):
        load_config(str(path))


def test_delete_of_a_part_that_no_base_has(tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_text("_base_ = 'rein_tiny_miniscapes'\nema = dict(_delete_=True, momentum=0.1)\n")
    assert load_config(str(path)).ema == {'momentum': 0.1}


def test_a_training_run_without_a_part_is_refused(base):
    for key in ('train_dataloader', 'val_evaluator', 'optim_wrapper', 'train_cfg'):
        assert f'{key}=None: a training run needs it' in refusal(base, f'{key}=None')
