"""Accuracy of whole images by domain."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.evaluation import ImageAccuracy


def sample(domain, label, scores, path='a.jpg'):
    scores = torch.tensor(scores)
    return dict(domain=domain, gt_label=torch.tensor([label]), pred_score=scores, img_path=path)


def evaluate(samples, classes, **options):
    metric = ImageAccuracy(**options)
    metric.dataset_meta = dict(classes=classes)
    metric.process(None, samples)
    return metric, metric.evaluate(len(samples))


def test_scores_by_domain_and_their_mean_over_targets():
    samples = [
        sample('day', 0, [0.9, 0.1]),
        sample('fog', 0, [0.2, 0.8], 'b.jpg'),
        sample('fog', 0, [0.7, 0.3], 'c.jpg'),
        sample('fog', 1, [0.4, 0.6], 'd.jpg'),
        sample('rain', 1, [0.6, 0.4]),
    ]
    metric, scores = evaluate(samples, ('car', 'van'), source='day')
    assert metric.columns == ('top1', 'mean_class')
    assert scores['day/top1'] == 100
    assert scores['fog/top1'] == pytest.approx(100 * 2 / 3)
    assert scores['fog/mean_class'] == pytest.approx(75)
    assert scores['mean/top1'] == pytest.approx(100 / 3)
    assert metric.report['domains']['fog']['accuracy'] == {'car': 50.0, 'van': 100.0}
    assert metric.report['domains']['rain']['accuracy'] == {'car': None, 'van': 0.0}
    details = metric.details['fog']
    assert details.confusion.tolist() == [[1, 1], [0, 1]]
    assert [one.path for one in details.worst] == ['b.jpg', 'd.jpg', 'c.jpg']
    assert details.scores['b.jpg'] == pytest.approx(20)


def test_top5_of_more_than_five_classes():
    falling = [0.3, 0.2, 0.15, 0.15, 0.1, 0.06, 0.04]
    samples = [sample('own', label, falling, f'{label}.jpg') for label in range(7)]
    _, scores = evaluate(samples, tuple('abcdefg'))
    assert scores['own/top1'] == pytest.approx(100 / 7)
    assert scores['own/top5'] == pytest.approx(500 / 7)
    # of equal probabilities the first counts as the higher
    tied, scores = evaluate([sample('own', 5, [1 / 7] * 7)], tuple('abcdefg'))
    assert scores['own/top5'] == 0
    assert tied.columns == ('top1', 'top5', 'mean_class')


def test_samples_without_domain_or_scores_are_refused():
    metric = ImageAccuracy()
    with pytest.raises(UserError, match='carries no domain: .*PackImageInputs'):
        metric.process(None, [dict(gt_label=torch.tensor([1]))])
    with pytest.raises(UserError, match="no 'pred_score', which ImageAccuracy reads"):
        metric.process(None, [dict(domain='own', gt_label=torch.tensor([1]))])
