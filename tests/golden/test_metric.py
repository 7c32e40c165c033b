"""The metric against the official one, image by image and in mixed batches."""

import pytest

from rein_seg.evaluation import DomainIoUMetric
from tests.golden.collect import cases

GOLDEN = cases('rein', 'dg_metric')
NOT_OFFERED = {'mAcc'}


def domain_of(path, keys):
    """Returns the first of the official keys that is anywhere in the path."""
    return next((key for key in keys if key in path), 'unknown')


def samples_of(golden):
    """Yields the batches; officially a whole batch is of the domain of its first image."""
    config, tensors = golden.meta['config'], golden.tensors('input')
    for batch in config['batches']:
        domain = domain_of(config['paths'][batch[0]], config['dataset_keys'])
        yield [
            dict(
                domain=domain,
                gt_sem_seg=dict(data=tensors[f'gt.{index}'][None]),
                pred_sem_seg=dict(data=tensors[f'pred.{index}'][None].long()),
            )
            for index in batch
        ]


def scores_of(golden, mixed):
    """Returns our scores by the official names."""
    config, batches = golden.meta['config'], list(samples_of(golden))
    metric = DomainIoUMetric(targets=config['mean_used_keys'] or None)
    metric.dataset_meta = dict(classes=[str(i) for i in range(config['classes'])])
    samples = [sample for batch in batches for sample in batch]
    for batch in [samples] if mixed else batches:
        metric.process(None, batch)
    return {name.replace('/', '_'): s for name, s in metric.evaluate(len(samples)).items()}


@pytest.mark.parametrize('golden', GOLDEN)
@pytest.mark.parametrize('mixed', [False, True])
def test_metric_equals_the_official_one(golden, mixed):
    scores, expected = scores_of(golden, mixed), golden.meta['metrics']
    compared = {name for name in expected if name in scores}
    for name in compared:
        # the official numbers are rounded to two decimals before they are averaged
        assert scores[name] == pytest.approx(expected[name], abs=0.0051), name
    # nothing is passed over, neither of theirs nor of ours
    assert {name.rsplit('_', 1)[1] for name in set(expected) - compared} <= NOT_OFFERED
    assert len(compared) == len(scores)


def test_a_path_with_no_key_is_unknown():
    keys = ['citys', 'map', 'bdd']
    assert domain_of('data/mapillary/citys/1.png', keys) == 'citys'
    assert domain_of('data/acdc/1.png', keys) == 'unknown'
