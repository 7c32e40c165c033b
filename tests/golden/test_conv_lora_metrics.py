"""Scores of binary and multi-class maps: Conv-LoRA's metrics, and a toolkit's on odd images."""

import pytest
import torch

from rein_seg.evaluation import BinarySegMetric, DomainIoUMetric
from rein_seg.evaluation.binary_scores import image_scores
from rein_seg.evaluation.domain_iou import count_areas
from rein_seg.evaluation.saliency import (
    absolute_error,
    e_adaptive,
    e_curve,
    s_measure,
    weighted_f,
)
from tests.golden.collect import cases

GOLDEN = cases('conv_lora', 'metrics')
TOOLKIT = cases('binary_metrics', 'saliency_metrics')
# official name -> our column, and what makes one of the other
COLUMNS = {
    's_measure': ('S', lambda v: v / 100),
    'weighted_f': ('wF', lambda v: v / 100),
    'e_measure_mean': ('E', lambda v: v / 100),
    'e_measure_max': ('E_max', lambda v: v / 100),
    'e_measure_adaptive': ('E_adaptive', lambda v: v / 100),
    'mae': ('MAE', lambda v: v),
    'iou': ('IoU_image', lambda v: v / 100),
    'ber': ('BER', lambda v: v / 100),
}


def images_of(golden):
    """Yields (foreground probability, ground truth, official scores) of each image."""
    inputs, outputs = golden.tensors('input'), golden.tensors('output')
    for i in range(sum(name.startswith('prob') for name in inputs)):
        expected = {name: outputs[f'{name}{i}'].item() for name in COLUMNS}
        yield inputs[f'prob{i}'], inputs[f'gt{i}'], expected


def near(value):
    return pytest.approx(value, abs=1e-6, rel=0)


@pytest.mark.parametrize('golden', GOLDEN)
def test_scores_of_an_image_equal_the_official_ones(golden):
    seen = 0
    for prob, gt, expected in images_of(golden):
        ours = image_scores(prob.numpy(), gt.numpy() > 0)
        curve = ours.pop('E_curve')
        ours |= {'E': curve.mean(), 'E_max': curve.max()}
        assert {name: ours[column] for name, (column, _) in COLUMNS.items()} == near(expected)
        seen += 1
    assert seen == len(golden.meta['config']['values'])


@pytest.mark.parametrize('golden', GOLDEN)
def test_metric_equals_the_official_scores_and_their_mean(golden):
    metric = BinarySegMetric(protocol='golden')
    metric.dataset_meta = dict(classes=('background', 'thing'))
    images = list(images_of(golden))
    for i, (prob, gt, _) in enumerate(images):
        sample = dict(
            gt_sem_seg=dict(data=(gt > 0)[None].to(torch.uint8)),
            pred_sem_seg=dict(data=(prob > 0.5)[None].long()),
            pred_scores=dict(data=prob[None]),
        )
        metric.process(None, [sample | dict(domain=f'image{i}'), sample | dict(domain='together')])
    flat = metric.evaluate(2 * len(images))
    for i, (*_, expected) in enumerate(images):
        for name, (column, convert) in COLUMNS.items():
            assert convert(flat[f'image{i}/{column}']) == near(expected[name]), (i, name)
    for name, (column, convert) in COLUMNS.items():
        mean = sum(expected[name] for *_, expected in images) / len(images)
        if name != 'e_measure_max':  # the maximum of the mean curve is not the mean maximum
            assert convert(flat[f'together/{column}']) == near(mean), name


@pytest.mark.parametrize('golden', GOLDEN)
def test_several_classes_equal_the_official_ones(golden):
    inputs, expected = golden.tensors('input'), golden.tensors('output')
    labels, preds = inputs['multi_labels'].clone(), inputs['multi_scores'].argmax(1)
    labels[labels < 0] = 255
    classes = [str(i) for i in range(inputs['multi_scores'].shape[1])]
    areas = sum(
        count_areas(p, g, len(classes))
        for p, g in zip(preds.numpy(), labels.numpy(), strict=True)
    )  # fmt: skip
    assert areas[0].tolist() == expected['multi_inter'].tolist()
    assert (areas[1] + areas[2] - areas[0]).tolist() == expected['multi_union'].tolist()
    metric = DomainIoUMetric(absent='zero')
    metric.dataset_meta = dict(classes=classes)
    metric.process(None, [
        dict(domain='d', gt_sem_seg=dict(data=g[None]), pred_sem_seg=dict(data=p[None]))
        for p, g in zip(preds, labels, strict=True)
    ])  # fmt: skip
    assert metric.evaluate(len(preds))['d/mIoU'] / 100 == near(expected['multi_miou'].item())


@pytest.mark.parametrize('golden', TOOLKIT)
def test_odd_images_equal_a_toolkit(golden):
    inputs = golden.tensors('input')
    for i, stored in enumerate(golden.meta['config']['values']):
        expected = {name: value for name, value in stored.items() if name != 'what'}
        pred, gt = inputs[f'prob{i}'].numpy(), inputs[f'gt{i}'].numpy() > 0
        curve = e_curve(pred, gt)
        ours = {
            's_measure': s_measure(pred, gt),
            'e_measure_mean': curve.mean(),
            'e_measure_max': curve.max(),
            'e_measure_adaptive': e_adaptive(pred, gt),
            'weighted_f': weighted_f(pred, gt, beta2=0.3),
            'weighted_f_beta1': weighted_f(pred, gt, beta2=1),
            'mae': absolute_error(pred, gt),
        }
        assert ours == near(expected), stored['what']
