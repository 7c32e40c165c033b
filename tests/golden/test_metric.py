"""The metric against the official one, image by image and in mixed batches."""

import pytest

from rein_seg.evaluation import DomainIoUMetric
from tests.golden.collect import cases


@pytest.mark.parametrize('golden', cases('rein', lambda meta: meta.get('kind') == 'dg_metric'))
@pytest.mark.parametrize('mixed', [False, True])
def test_metric_equals_the_official_one(golden, mixed):
    config, tensors = golden.meta['config'], golden.tensors('input')
    metric = DomainIoUMetric()
    metric.dataset_meta = dict(classes=[str(i) for i in range(config['classes'])])
    samples = []
    for index, path in enumerate(config['paths']):
        domain = next(key for key in config['dataset_keys'] if key in path)
        label, pred = (tensors[f'{kind}.{index}'][None] for kind in ('gt', 'pred'))
        samples.append(
            dict(domain=domain, gt_sem_seg=dict(data=label), pred_sem_seg=dict(data=pred.long()))
        )
    for batch in [samples] if mixed else [[s] for s in samples]:
        metric.process(None, batch)
    scores = metric.evaluate(len(samples))
    for name, expected in golden.meta['metrics'].items():
        key, measure = name.rsplit('_', 1)
        if measure in ('mIoU', 'aAcc'):
            # the official numbers are rounded to two decimals before they are averaged
            assert scores[f'{key}/{measure}'] == pytest.approx(expected, abs=0.0051)
