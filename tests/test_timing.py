"""Measuring in turn: what is called, what is counted, ratios; and the figures of SAM's tool."""

import time

import pytest
import torch
from mmengine.config import Config

from rein_seg.bench.sam import benchmark_sam
from rein_seg.errors import UserError
from rein_seg.timing import Measured, PeakMemory, compare, in_turn, interleave
from tests.encoders.tiny import ENCODERS

CPU = torch.device('cpu')


def test_ways_are_called_in_turn_after_one_round_that_is_not_counted():
    calls, lines = [], []
    ways = {'a': lambda: calls.append('a'), 'b': lambda: (calls.append('b'), time.sleep(0.01))}
    measured = interleave(ways, repeats=2, device=CPU, report=lines.append)
    assert ''.join(calls) == 'ababab'
    assert [len(measured[name].seconds) for name in 'ab'] == [2, 2]
    assert min(measured['b'].seconds) >= 0.01
    assert len(lines) == 3


def test_a_call_before_each_call_lets_it_settle():
    calls = []
    ways = {'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')}
    measured = interleave(ways, repeats=1, warmup=1, device=CPU, settle=True)
    assert ''.join(calls) == 'aabbaabb'
    assert [len(measured[name].seconds) for name in 'ab'] == [1, 1]


def test_ratios_are_of_the_same_round():
    measured = {
        'ours': Measured([1.0, 2.0, 1.0], [100.0]),
        'plain': Measured([3.0, 4.0, 2.0], [150.0, 250.0]),
    }
    plain = compare(measured, 'ours')['plain']
    assert plain == {
        'seconds': 3.0,
        'time_ratio': 2.0,
        'time_ratio_range': [2.0, 3.0],
        'peak_mib': 250.0,
        'memory_ratio': 2.5,
    }


def test_peak_memory_counts_what_was_freed_within():
    with PeakMemory(CPU) as peak:
        torch.ones(2**24).sum()  # 64 MiB
    if peak.mib is None:
        pytest.skip('this system does not tell')
    assert 50 < peak.mib < 120


def test_short_calls_go_on_for_a_while():
    calls = []
    ways = {'a': lambda: calls.append(1)}
    assert len(in_turn(ways, repeats=3, warmup=1, seconds=60.0, most=50)['a']) == 50
    assert len(calls) == 51
    assert len(in_turn(ways, repeats=3, seconds=0.0, most=50)['a']) == 3
    assert len(in_turn(ways, repeats=3, seconds=60.0)['a']) == 3


def config(method):
    encoder = {**ENCODERS['sam'], 'out_indices': [1], 'neck': True, 'neck_channels': 16}
    head = dict(type='SAMHead', decoder=dict(num_heads=2, hidden=16, iou_hidden=16))
    model = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type=method)),
        decode_head=head,
        num_classes=2,
    )
    data = dict(dataset=dict(type='MiniScapesDataset'))
    return Config(dict(model=model, test_dataloader=data))


def test_sam_is_measured_three_ways():
    figures = benchmark_sam(config('ConvLoRA'), size=48, repeats=1)
    assert set(figures) == {'ours', 'dense experts', 'naive attention'}
    assert figures['ours']['time_ratio'] == 1
    assert all(way['seconds'] > 0 for way in figures.values())


def test_another_method_is_refused():
    with pytest.raises(UserError, match='LoRA is not ConvLoRA'):
        benchmark_sam(config('LoRA'), size=48, repeats=1)
