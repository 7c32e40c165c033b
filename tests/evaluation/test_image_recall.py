"""Tests of the Recall@K of embeddings by domain."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.evaluation import RecallAtK

POINTS = {'day': [(0, 0), (5, 0), (90, 1), (170, 0)], 'fog': [(0, 0), (5, 1), (90, 1)]}


def filled(**options):
    metric = RecallAtK(**{'ks': (1, 2), 'source': 'day', **options})
    for domain, points in POINTS.items():
        for degrees, label in points:
            angle = torch.deg2rad(torch.tensor(float(degrees)))
            embedding = torch.stack((angle.cos(), angle.sin())).bfloat16()
            sample = dict(domain=domain, gt_label=torch.tensor([label]), embedding=embedding)
            metric.process(None, [sample])
    return metric


def test_domains_are_galleries_of_their_own_and_targets_are_averaged():
    metric = filled()
    scores = metric.evaluate(7)
    assert scores == {
        'day/R@1': 50.0,
        'day/R@2': 75.0,  # 90 degrees is alone in its class
        'fog/R@1': 33.33,
        'fog/R@2': 66.67,
        'mean/R@1': 33.33,
        'mean/R@2': 66.67,
    }
    assert metric.report['domains']['fog'] == {'images': 3, 'R@1': 33.33, 'R@2': 66.67}
    assert metric.columns == ('R@1', 'R@2')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(ks=()), r'ks=\(\): expected whole numbers'),
        (dict(ks=(0,)), 'at least 1'),
        (dict(ks=3), 'ks=3'),
        (dict(leave_out='first'), "expected 'query' or 'nearest'"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(UserError, match=words):
        RecallAtK(**options)


def test_a_classifier_gives_no_embedding():
    sample = dict(domain='day', gt_label=torch.tensor([0]), pred_score=torch.ones(2))
    with pytest.raises(UserError, match="no 'embedding', which RecallAtK reads.*a retrieval head"):
        RecallAtK().process(None, [sample])
