"""Runs on a benchmark with unseen classes: labels, scores, files, a model of the seen classes."""

import json

import numpy as np
import pytest

import rein_seg
from rein_seg.apis import train
from rein_seg.checkpoint import read_adapter
from rein_seg.config.checks import check_run
from rein_seg.errors import UserError
from rein_seg.run import test as testing
from tests.models.words import WORDS
from tests.run.tiny_run import tiny_config

UNSEEN = ['sidewalk', 'vegetation', 'bus', 'bicycle']
assert WORDS  # registers the parts that a config here names
COLUMNS = ['hIoU', 'S', 'U', 'pAcc', 'mIoU']


def config(folder, **options):
    return tiny_config(
        folder,
        val_evaluator__type='SeenUnseenIoU',
        test_evaluator__type='SeenUnseenIoU',
        train_cfg=dict(max_iters=2, val_interval=2),
        **{'benchmark__unseen': UNSEEN, **options},
    )


def test_scores_of_seen_and_unseen_classes_are_in_every_file(tmp_path):
    hook = dict(interval=2, save_best='clear/hIoU')
    cfg = config(tmp_path, default_hooks__checkpoint=hook)
    results = train(cfg)
    run = tmp_path / 'run'
    assert (results['unseen'], results['text']) == (UNSEEN, None)
    assert list(results['mean_over_targets']) == COLUMNS
    for name in ('clear', 'night'):
        scores = results['domains'][name]
        there = {k: [v for n, v in scores['IoU'].items() if (n in UNSEEN) == (k == 'U') and
                     v is not None] for k in 'SU'}  # fmt: skip
        for key in 'SU':
            assert scores[key] == pytest.approx(np.mean(there[key]))
    assert results['mean_over_targets']['S'] == results['domains']['night']['S']
    assert results['selected']['metric'] == 'clear/hIoU'
    assert json.loads((run / 'results.json').read_text()) == results
    assert set(COLUMNS) <= read_adapter(run / 'adapter.safetensors').metadata['scores'].keys()
    log = next(run.glob('*/*.log')).read_text()
    assert 'bus (unseen)' in log
    assert 'hIoU' in (run / 'report.html').read_text()


def test_a_model_without_text_is_named_before_the_run(tmp_path):
    warnings = check_run(config(tmp_path), training=True).warnings
    about = [one for one in warnings if one.startswith('benchmark.unseen names 4 classes')]
    assert len(about) == 1 and 'the model reads no names of classes' in about[0]
    absent = [one for one in warnings if one.startswith('no label of the training data has')]
    assert all(repr(name) not in one for name in UNSEEN for one in absent)


def test_a_model_of_the_seen_classes_is_tested_on_all(tmp_path):
    cfg = config(tmp_path, benchmark__compact=True)
    results = train(cfg)
    assert results['num_classes'] == 15
    for scores in results['domains'].values():
        assert len(scores['IoU']) == 19
        assert scores['U'] == scores['hIoU'] == 0
        assert scores['S'] > 0
    adapter = tmp_path / 'run/adapter.safetensors'
    again = testing.test(cfg, str(adapter))
    assert again['domains'] == results['domains']
    # as many seen classes, but other ones: a channel would stand for another class
    other = config(tmp_path, benchmark__compact=True, benchmark__unseen=['road', *UNSEEN[1:]])
    with pytest.raises(UserError, match=r"was trained on the classes \('road', 'building'"):
        testing.test(other, str(adapter))
    predictor = rein_seg.load(adapter, device='cpu')
    assert len(predictor.classes) == 15
    assert not set(UNSEEN) & set(predictor.classes)
    assert predictor.classes[:2] == ('road', 'building')


OTHER_DATA = """
model['text'] = dict(type='WordTable')
model['decode_head'] = dict(_delete_=True, type='WordHead')
model['backbone']['peft'] = dict(_delete_=True, type='LoRA', rank=2)
test_dataloader = dict(dataset=dict(_delete_=True,
    type='BlobsDataset', domain='dark', split='val', count=3, size=(64, 32), test_mode=True,
    data_root={blobs!r}, pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadLabels'),
                                   dict(type='PackDomainInputs')]))
test_evaluator = dict(_delete_=True, type='DomainIoUMetric', targets=['dark'])
"""


def test_a_test_on_other_data_has_classes_of_its_own(tmp_path):
    extra = OTHER_DATA.format(blobs=str(tmp_path / 'blobs'))
    cfg = tiny_config(tmp_path, extra=extra, train_cfg=dict(max_iters=2, val_interval=2))
    assert list(train(cfg)['domains']) == ['clear', 'night']
    adapter = str(tmp_path / 'run/adapter.safetensors')
    results = testing.test(cfg, adapter)
    assert results['num_classes'] == 2
    assert list(results['domains']['dark']['IoU']) == ['background', 'blob']
    # the adapter names the classes of its training
    assert len(rein_seg.load(adapter, device='cpu').classes) == 19


class Reader:
    """A model that reads names."""

    def __init__(self, classes):
        self.text = type('Text', (), {'classes': classes})
        self.taken = None

    def set_classes(self, classes, unseen):
        self.taken = (tuple(classes), list(unseen))


def test_a_model_that_reads_names_takes_those_of_the_test():
    model = Reader(('road', 'sky'))
    testing.take_classes(model, ('road', 'sky'), ())
    assert model.taken is None
    testing.take_classes(model, ('sky', 'sea', 'bus'), ['bus', 'car'])
    assert model.taken == (('sky', 'sea', 'bus'), ['bus'])


def test_other_classes_than_the_models_are_refused_without_text(tmp_path):
    cfg = config(tmp_path, model__num_classes=18)
    with pytest.raises(UserError, match='the data set has 19 classes, the model num_classes=18'):
        train(cfg)
