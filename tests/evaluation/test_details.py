import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rein_seg.evaluation import BinarySegMetric, DomainIoUMetric
from rein_seg.evaluation.calibration import BINS, calibration_error, count_bins, grid
from rein_seg.evaluation.confusion import areas_of, confusion_matrix, top_confusions
from rein_seg.evaluation.details import KEPT, image_iou
from rein_seg.heads.contract import DecodeHead
from rein_seg.models.postprocess import postprocess

CLASSES = ('road', 'car', 'sky')


def sample(name, label, pred, domain='fog', confidence=None, **more):
    maps = dict(
        gt_sem_seg=dict(data=torch.tensor([label], dtype=torch.uint8)),
        pred_sem_seg=dict(data=torch.tensor([pred])),
    )
    if confidence is not None:
        maps['confidence'] = dict(data=torch.tensor([confidence]))
    return dict(domain=domain, img_path=name, **maps, **more)


def evaluated(samples, cls=DomainIoUMetric, classes=CLASSES, size=None, **options):
    metric = cls(**options)
    metric.dataset_meta = dict(classes=classes)
    metric.process(None, samples)
    metric.evaluate(len(samples) if size is None else size)
    return metric


def test_expected_calibration_error_of_a_case_by_hand():
    # 4 pixels at 0.9, 3 right; 5 at 0.5, all right; 1 at 0.3, wrong
    confidence = np.array([0.9] * 4 + [0.5] * 5 + [0.3])
    right = np.array([1, 1, 1, 0, 1, 1, 1, 1, 1, 0], bool)
    counts = count_bins(confidence, right)
    assert counts[0, [13, 7, 4]].tolist() == [4, 5, 1]
    by_hand = (4 * abs(0.75 - 0.9) + 5 * abs(1 - 0.5) + 1 * abs(0 - 0.3)) / 10 * 100
    assert calibration_error(counts) == pytest.approx(by_hand)
    assert calibration_error(np.zeros((3, BINS))) is None


def test_ends_of_the_bins():
    counts = count_bins(np.array([0.0, 1 / 15, 1.0, 1.0 + 1e-7]), np.ones(4, bool))
    assert counts[0].tolist() == [1, 1, *[0] * 12, 2]


def test_rows_of_a_confusion_are_labels():
    matrix = confusion_matrix(np.array([[0, 1, 1, 2]]), np.array([[0, 0, 0, 255]]), 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]
    assert areas_of(matrix, 3).tolist() == [[1, 0, 0], [1, 2, 0], [3, 0, 0]]


def test_confusions_come_by_pixels_and_say_their_share():
    found = top_confusions([[50, 4, 0], [6, 0, 0], [4, 0, 100]])
    assert [(one.label, one.pred, one.pixels) for one in found] == [(1, 0, 6), (0, 1, 4), (2, 0, 4)]
    assert [round(one.share, 3) for one in found] == [1.0, 0.074, 0.038]
    assert top_confusions([[5, 0], [0, 5]]) == []


def test_details_sum_over_the_images_of_a_domain():
    a = sample('a.png', [[0, 0, 1]], [[0, 1, 1]], confidence=[[0.9, 0.8, 0.7]])
    b = sample('b.png', [[2, 255, 0]], [[2, 2, 0]], confidence=[[0.9, 0.1, 0.9]])
    c = sample('c.png', [[0, 0, 0]], [[0, 0, 0]], domain='night')
    metric = evaluated([a, b, c])
    fog, night = metric.details['fog'], metric.details['night']
    assert fog.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert fog.bins[0].sum() == 5  # the ignored pixel counts nowhere
    assert fog.bins[:, 13].tolist() == pytest.approx([3, 3, 2.7])
    assert fog.scores == {'a.png': 50.0, 'b.png': 100.0}
    assert night.bins is None
    assert night.first.path == 'c.png'
    # scores are as they were: of the same counts
    assert metric.report['domains']['fog']['mIoU'] == pytest.approx((2 / 3 + 0.5 + 1) / 3 * 100)


def test_worst_and_best_images():
    right, wrong = [[0] * 10], [[1] * 10]
    # image i has i right pixels of 10
    many = [sample(f'{i}.png', right, [[0] * i + [1] * (10 - i)]) for i in (5, 9, 1, 7, 0, 3, 8, 2)]
    many += [sample('void.png', [[255] * 10], wrong), sample('0_too.png', right, wrong)]
    fog = evaluated(many).details['fog']
    assert [one.path for one in fog.worst] == ['0.png', '0_too.png', '1.png']
    assert [one.path for one in fog.best] == ['9.png', '8.png', '7.png']
    assert fog.worst[2].score == pytest.approx(10)
    assert fog.first.path == '5.png'
    assert fog.scores['void.png'] is None
    assert fog.worst[2].pred.tolist() == [[0] + [1] * 9]


def test_a_small_domain_shows_no_image_twice():
    fog = evaluated([sample(f'{i}.png', [[0]], [[i % 2]]) for i in range(KEPT + 1)]).details['fog']
    shown = [one.path for one in (*fog.worst, *fog.best)]
    assert len(shown) == len(set(shown)) == KEPT + 1


def test_entries_that_fill_up_a_rank_count_once():
    images = [sample('a.png', [[0]], [[0]]), sample('b.png', [[0]], [[1]])]
    fog = evaluated([*images, images[0]], size=2).details['fog']
    assert fog.confusion.sum() == 2
    assert [one.path for one in fog.worst] == ['b.png', 'a.png']


def test_a_second_test_starts_empty():
    metric = evaluated([sample('a.png', [[0]], [[0]])])
    metric.process(None, [sample('b.png', [[1]], [[1]])])
    metric.evaluate(1)
    assert list(metric.details['fog'].scores) == ['b.png']


def test_large_maps_are_kept_small():
    label = np.zeros((700, 1400), int).tolist()
    kept = evaluated([sample('a.png', label, label)]).details['fog'].first
    assert kept.label.shape == kept.pred.shape == (160, 320)


def test_binary_images_are_ordered_by_their_foreground():
    def scored(name, label, scores):
        maps = dict(pred_scores=dict(data=torch.tensor([scores])))
        return sample(name, label, [[0, 0]], domain='kvasir') | maps

    metric = evaluated(
        [scored('a', [[1, 1]], [[0.9, 0.2]]), scored('b', [[0, 0]], [[0.1, 0.2]])],
        BinarySegMetric, ('background', 'polyp'), metrics=['IoU'],
    )  # fmt: skip
    kvasir = metric.details['kvasir']
    assert kvasir.scores == {'a': 50.0, 'b': 100.0}
    assert kvasir.confusion.tolist() == [[2, 0], [1, 1]]


def test_image_score_without_a_label():
    assert image_iou(np.zeros((3, 3), int), 3) is None
    # a class that is predicted alone is no part of the mean
    assert image_iou(np.array([[3, 1], [0, 0]]), 2) == 75.0


class Head(DecodeHead):
    num_classes = 3

    def __init__(self, channels, output, align_corners):
        self.out_channels, self.output, self.align_corners = channels, output, align_corners

    forward = loss = predict = None


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(('channels', 'output'), [(3, 'logits'), (3, 'scores'), (1, 'logits')])
@pytest.mark.parametrize('size', [(24, 40), (12, 20), (300, 451)])
def test_confidence_is_the_probability_of_the_predicted_class(
    size, channels, output, align_corners
):
    head = Head(channels, output, align_corners)
    predicted = torch.rand(channels, 12, 20, generator=torch.Generator().manual_seed(0)) * 4
    found = postprocess(predicted - 2 * (channels == 1), head, size, keep_confidence=True)
    resized = F.interpolate(
        predicted[None] - 2 * (channels == 1), size, mode='bilinear', align_corners=align_corners
    )
    every = head.probabilities(resized)[0]
    best = torch.maximum(every, 1 - every) if channels == 1 else every.amax(0, keepdim=True)
    rows, columns = grid(size)
    torch.testing.assert_close(found['confidence'], best[:, rows, columns], atol=2e-5, rtol=0)
    assert found['confidence'].numel() <= 2**14 + 1000
