"""The figures of adapters on one encoder against separate models."""

import pytest

from rein_seg.bench import service as module
from rein_seg.errors import UserError


def test_ratios_are_of_what_the_processes_said(monkeypatch):
    calls = []

    def said(way, config, methods, options, size):
        calls.append(way)
        shared = way == 'shared'
        return dict(memory_mib=40.0 if shared else 100.0, load_s=1.0 if shared else 4.0,
                    switch_s=[0.01, 0.03] if shared else [0.0], predict_s=0.5, sum=7)  # fmt: skip

    monkeypatch.setattr(module, '_in_process', said)
    figures = module.benchmark_service('c.py', methods=['Rein', 'LoRA'], repeats=2)
    assert calls == ['shared', 'separate'] * 2
    assert figures['memory_ratio'] == 0.4
    assert figures['switch_s'] == 0.02
    assert figures['load_one_s'] == 2.0
    assert figures['switch_ratio'] == 0.01
    assert figures['equal']


def test_both_ways_predict_the_same(repo):
    config, size = str(repo / 'configs/rein_tiny_miniscapes.py'), (32, 64)
    methods = ['Rein', 'SSF']
    runs = [module.measure(way, config, methods, {}, size) for way in module.WAYS]
    assert runs[0]['sum'] == runs[1]['sum'] > 0
    assert len(runs[0]['switch_s']) == 4


def test_a_process_that_fails_says_why():
    with pytest.raises(UserError, match="measuring shared failed: config 'none.py' does not exist"):
        module.benchmark_service('none.py', methods=['LoRA'])
