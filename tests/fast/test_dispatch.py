"""The switch: its table, its variable, and modules that are copied, pickled and compiled."""

import copy
import importlib
import os
import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.fast import allocator, onednn_matmul
from rein_seg.fast.dispatch import (
    announcement,
    has_fast_form,
    read_environment,
    use_in_process,
    without,
)
from rein_seg.fast.switches import FORMS, PROCESS, SWITCHES
from rein_seg.heads.mask2former import layers
from rein_seg.heads.mask2former.deform_attn import softmax
from tests.paths import REPO

PLACES = [(name, place) for name, switch in FORMS.items() for place in switch.forms]


def find(place):
    module, parts = place, []
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, part = module.rpartition('.')
            parts.insert(0, part)
    for part in parts:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(('name', 'place'), PLACES)
def test_every_form_has_a_plain_function_that_names_it(name, place):
    function = find(place)
    switches = [cell.cell_contents for cell in function.__closure__]
    named = [pair[0].name for cell in switches if isinstance(cell, tuple) for pair in cell]
    assert name in named
    assert function.plain.__doc__


def test_every_form_says_why_and_where():
    for switch in SWITCHES.values():
        assert switch.why
        assert switch.where


def test_a_form_is_taken_where_it_applies_and_is_on(monkeypatch):
    seen = []
    switch = FORMS['short_softmax']
    place = next(iter(switch.forms))
    monkeypatch.setitem(switch.forms, place, lambda x: seen.append('fast') or x)

    def plain(x):
        seen.append('plain')
        return x

    plain.__module__, plain.__qualname__ = place.rpartition('.')[0], 'softmax'
    choose = has_fast_form('short_softmax')(plain)
    choose(torch.zeros(3))
    choose(torch.zeros(16))
    with without('short_softmax'):
        choose(torch.zeros(3))
    choose.plain(torch.zeros(3))
    assert seen == ['fast', 'plain', 'plain', 'plain']


def test_without_names_all_are_left_out_and_come_back():
    before = {name: switch.on for name, switch in SWITCHES.items()}
    with pytest.raises(ZeroDivisionError), without():
        assert not any(switch.on for switch in SWITCHES.values())
        assert announcement() == 'fast forms: none'
        1 / 0  # noqa: B018
    assert {name: switch.on for name, switch in SWITCHES.items()} == before
    with without('winograd'):
        assert [name for name, switch in FORMS.items() if not switch.on] == ['winograd']
        assert 'winograd' not in announcement()
    assert announcement().startswith('fast forms: winograd, ')
    assert announcement().endswith('; off with REIN_SEG_FAST=0')


@pytest.mark.parametrize(
    ('variables', 'signs'),
    [
        ({}, {}),
        ({'REIN_SEG_FAST': '1'}, {}),
        ({'REIN_SEG_FAST': '0'}, dict.fromkeys(SWITCHES, '-')),
        ({'REIN_SEG_FAST': '-winograd,-kept_memory'}, {'winograd': '-', 'kept_memory': '-'}),
        ({'REIN_SEG_FAST': '+onednn_matmul'}, {'onednn_matmul': '+'}),
        ({'REIN_SEG_PRODUCTS': 'pytorch'}, {'onednn_matmul': '-'}),
        ({'REIN_SEG_PRODUCTS': 'onednn'}, {'onednn_matmul': '+'}),
        (
            {'REIN_SEG_PRODUCTS': 'onednn', 'REIN_SEG_FAST': '-onednn_matmul'},
            {'onednn_matmul': '-'},
        ),
    ],
)
def test_the_variable_is_read(variables, signs):
    assert read_environment(variables) == signs


@pytest.mark.parametrize(
    ('variables', 'message'),
    [
        ({'REIN_SEG_FAST': '-winogard'}, "fast form 'winogard': did you mean 'winograd'"),
        ({'REIN_SEG_FAST': 'winograd'}, "REIN_SEG_FAST='winograd': expected 0, or names .* minus"),
        ({'REIN_SEG_FAST': '+winograd'}, r'\+winograd has no effect.*remove it'),
        ({'REIN_SEG_PRODUCTS': 'mkl'}, "REIN_SEG_PRODUCTS='mkl': expected pytorch or onednn"),
    ],
)
def test_a_wrong_value_is_refused(variables, message):
    with pytest.raises(UserError, match=message):
        read_environment(variables)


def test_an_unknown_name_is_refused():
    with (
        pytest.raises(UserError, match="'softmax': did you mean 'short_softmax'"),
        without('softmax'),
    ):
        pass


def test_settings_of_the_process_are_left_out_when_named(monkeypatch):
    used = []
    for switch in PROCESS:
        monkeypatch.setattr(switch, 'use', partial(used.append, switch.name))
    monkeypatch.setattr('rein_seg.fast.dispatch.use_onednn', lambda always: used.append(always))
    for value in ('1', '-kept_memory', '+onednn_matmul', '0'):
        monkeypatch.setenv('REIN_SEG_FAST', value)
        use_in_process()
        used.append('|')
    assert ' '.join(map(str, used)) == (
        'onednn_matmul kept_memory | onednn_matmul | True kept_memory | |'
    )


CODE = """
import sys
from rein_seg.cli import prepare
from rein_seg.cli.exits import run
def main():
    prepare()
    from rein_seg.environment import describe_environment
    found = describe_environment()
    print(found['products'], *found['fast_forms'])
sys.exit(run(main))
"""


@pytest.mark.parametrize('value', ['0', '+onednn_matmul,-winograd', '-winogard'])
def test_the_tools_follow_the_variable(value):
    if value.startswith('+') and not onednn_matmul.works():
        pytest.skip('PyTorch without oneDNN')
    environment = {**os.environ, 'REIN_SEG_FAST': value}
    done = subprocess.run(
        [sys.executable, '-c', CODE], cwd=REPO, env=environment, capture_output=True, text=True
    )
    if value == '-winogard':
        assert done.returncode == 2
        assert done.stderr.startswith("error: fast form 'winogard'")
        return
    products, *forms = done.stdout.split()
    assert (products == 'oneDNN') is value.startswith('+')
    if value == '0':
        assert forms == []
    else:
        assert {'onednn_matmul', 'gathered_sampling'} <= set(forms)
        assert 'winograd' not in forms


def test_modules_are_copied_and_pickled():
    conv, x = layers.ConvGN(4, 4, groups=2, bias=True), torch.randn(1, 4, 3, 5)
    expected = conv(x, 2)
    assert torch.equal(copy.deepcopy(conv)(x, 2), expected)
    assert torch.equal(pickle.loads(pickle.dumps(conv))(x, 2), expected)
    assert pickle.loads(pickle.dumps(softmax)) is softmax


def test_a_switch_holds_in_compiled_code_too():
    conv, x = layers.ConvGN(4, 4, groups=2, bias=True), torch.randn(1, 4, 3, 5)
    graphs = []

    def backend(graph, inputs):
        graphs.append(str(graph.code))
        return graph.forward

    compiled = torch.compile(conv, backend=backend, fullgraph=True)
    with without('convolve_first'):
        torch.testing.assert_close(compiled(x, 2), conv(x, 2))
    torch.testing.assert_close(compiled(x, 2), conv(x, 2))
    first, second = (graph.index('conv2d') < graph.index('interpolate') for graph in graphs)
    assert (first, second) == (False, True)


def test_a_setting_of_the_process_says_that_it_is_left_out(monkeypatch):
    monkeypatch.setattr(allocator, '_kept', [True])
    monkeypatch.setattr(allocator, '_set_thresholds', lambda **sizes: True)
    for name in ('LD_PRELOAD', *(n for n in os.environ if n.startswith('MALLOC_'))):
        monkeypatch.delenv(name, raising=False)
    with without('kept_memory'):
        assert not SWITCHES['kept_memory'].on
    assert SWITCHES['kept_memory'].on
