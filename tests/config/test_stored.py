"""The text of a config is read without running it."""

import pytest
from mmengine.config import Config

from rein_seg.config.load import load_config
from rein_seg.config.stored import read_stored
from rein_seg.errors import UserError

VALUES = dict(
    label_map={0: 0, 1: 1, 255: 255},
    nested=[dict(a={-1: 'x'}), dict(b=(1, 2.5), c=None)],
    empty=dict(one={}, two=[], three=()),
    far=dict(low=float('-inf'), high=float('inf')),
    words=dict(quote='a "b" \'c\'', path='C:\\x\n', letters='Straße, 道路'),
    flags=dict(yes=True, no=False, rate=-1e-3),
)


def test_values_of_every_kind_come_back():
    text = Config(VALUES).pretty_text
    assert read_stored(text, 'a').to_dict() == Config(VALUES).to_dict()


@pytest.mark.parametrize('name', ['rein_tiny_camvid', 'rein_dinov2_gtav', 'conv_lora_tiny_blobs'])
def test_a_resolved_config_comes_back(name):
    cfg = load_config(name)
    assert read_stored(cfg.pretty_text, name).to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'x = open("a")',
        'x = dict(open("a"))',
        'x = dict(**y)',
        'x = [y for y in z]',
        'x = a.b',
        'x = dict({**y})',
        'x = (lambda: 1)()',
        'x = float("1", 2)',
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match=r'line 1.*not run'):
        read_stored(text, 'a.safetensors')
