"""The evaluator that measures in a thread: order, errors, and that it does not run ahead."""

import threading
import time

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmseg.structures import SegDataSample

from rein_seg.engine import PEFTRunner
from rein_seg.engine import runner as engine_runner
from rein_seg.errors import UserError
from rein_seg.evaluation import OverlappingEvaluator

MAIN = threading.get_ident()


class Names(BaseMetric):
    """Collects names; waits for a sign where it has one, raises where a sample says so."""

    def __init__(self, sign=None):
        super().__init__(prefix='names')
        self.sign = sign

    def process(self, data_batch, data_samples):
        if self.sign is not None:
            assert self.sign.wait(10)
        for sample in data_samples:
            if sample['name'] == 'bad':
                raise UserError('a bad sample')
            self.results.append((data_batch, sample['name'], threading.get_ident() == MAIN))

    def compute_metrics(self, results):
        return {'all': results}


def samples(*names):
    return [SegDataSample(metainfo=dict(name=name)) for name in names]


def test_measures_in_order_beside_the_caller():
    evaluator = OverlappingEvaluator(Names())
    for i in range(5):
        evaluator.process(samples(f'a{i}', f'b{i}'), i)
    expected = [(i, f'{name}{i}', False) for i in range(5) for name in 'ab']
    assert evaluator.evaluate(10) == {'names/all': expected}


def test_the_caller_goes_on_but_not_far_ahead():
    sign = threading.Event()
    evaluator = OverlappingEvaluator(Names(sign))
    evaluator.process(samples('a'))  # returns though nothing is measured yet
    evaluator.process(samples('b'))
    third = threading.Thread(target=evaluator.process, args=(samples('c'),))
    third.start()
    third.join(0.2)
    assert third.is_alive()  # it waits for the first
    sign.set()
    third.join(10)
    assert [name for _, name, _ in evaluator.evaluate(3)['names/all']] == ['a', 'b', 'c']


def test_what_a_metric_raises_comes_out():
    evaluator = OverlappingEvaluator(Names())
    evaluator.process(samples('bad'))
    with pytest.raises(UserError, match='a bad sample'):
        evaluator.evaluate(1)
    evaluator.process(samples('bad'))
    time.sleep(0.1)
    with pytest.raises(UserError, match='a bad sample'):
        for _ in range(2):
            evaluator.process(samples('good'))


def test_the_runner_builds_it_beside_a_gpu_unless_the_config_has_its_own(monkeypatch):
    build = PEFTRunner.build_evaluator
    metric = dict(type='DomainIoUMetric')
    runner = PEFTRunner.__new__(PEFTRunner)
    runner.model = torch.nn.Identity()
    for device, kind in (('cpu', Evaluator), ('cuda', OverlappingEvaluator)):
        monkeypatch.setattr(engine_runner, 'get_device', lambda device=device: device)
        assert type(build(runner, metric)) is kind
        assert type(build(runner, [metric, metric])) is kind
    assert type(build(runner, dict(type='Evaluator', metrics=[metric]))) is Evaluator
    some = dict(type='BinarySegMetric', metrics=['MAE'])  # its own argument of this name
    for given in (some, [some]):
        assert build(runner, given).metrics[0].metrics == ('MAE',)
    own = Evaluator(Names())
    assert build(runner, own) is own
