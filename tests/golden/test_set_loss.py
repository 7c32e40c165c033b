"""Matching and losses of a set of queries against Mask2Former's code and EoMT's."""

import contextlib

import pytest
import torch

from rein_seg.fast.dispatch import without
from rein_seg.heads.mask2former.losses import Matches, SetLoss
from tests.golden.collect import assert_gradient, assert_near, cases

LOSSES = cases('mask2former', 'mask2former_loss') + cases('mask_loss', 'mask_classification_loss')


@pytest.fixture(params=['fast', 'plain'], autouse=True)
def _form(request):
    with contextlib.nullcontext() if request.param == 'fast' else without():
        yield


class Stored:
    """Gives the points that the official run drew."""

    def __init__(self, inputs, layers, images):
        self.shared = torch.stack(
            [
                torch.stack([inputs[f'rand.match.{i}.{b}'][0] for b in range(images)])
                for i in range(layers)
            ]
        )
        self.more = torch.cat([inputs[f'rand.oversample.{i}'] for i in range(layers)])
        self.rest = torch.cat([inputs[f'rand.random.{i}'] for i in range(layers)])

    def matching(self, layers, images, number, device):
        assert self.shared.shape == (layers, images, number, 2)
        return self.shared

    def candidates(self, masks, number, device):
        assert self.more.shape == (masks, number, 2)
        return self.more

    def fresh(self, masks, number, device):
        assert self.rest.shape == (masks, number, 2)
        return self.rest


def loss_case(golden):
    inputs = golden.tensors('input')
    layers = golden.meta['config'].get('layers') or golden.meta['config']['dec_layers'] + 1
    classes, masks = (
        torch.stack([inputs[f'{name}.{i}'] for i in range(layers)]).requires_grad_()
        for name in ('cls_pred', 'mask_pred')
    )
    labels = inputs['gt_sem_seg'][:, 0].long()
    return loss_of(golden.meta), classes, masks, labels, Stored(inputs, layers, len(labels))


def loss_of(meta, **options):
    """The loss that the sidecar describes; costs have the losses' weights."""
    config = meta['config']
    if config.get('kind') == 'mask_classification_loss':
        options = dict(
            class_weight=config['class_coefficient'],
            mask_weight=config['mask_coefficient'],
            dice_weight=config['dice_coefficient'],
            no_object_weight=config['no_object_coefficient'],
            oversample=config['oversample_ratio'],
            uncertain_share=config['importance_sample_ratio'],
            divisor='pairs',
            **options,
        )
    return SetLoss(config['classes'], num_points=config['num_points'], **options)


def results(golden):
    """Outputs, intermediate ones and gradients; the families keep them under other prefixes."""
    gradients = {f'grad.{name}': value for name, value in golden.tensors('grad').items()}
    return {**golden.tensors('output'), **golden.tensors('output_extra'), **gradients}


def check(golden, actual, name, tolerance):
    """Compares with the sidecar's own tolerance, else with this one."""
    expected = results(golden)[name]
    own = golden.meta.get('tolerance', {}).get('output_max_abs', {}).get(name)
    if own is None:
        assert_near(actual, expected, name, tolerance)
    else:
        torch.testing.assert_close(actual, expected, rtol=0, atol=own, msg=lambda m: f'{name}: {m}')


@pytest.mark.parametrize('golden', LOSSES)
def test_costs_and_matching_equal_the_official_ones(golden):
    loss, classes, masks, labels, draws = loss_case(golden)
    outputs = results(golden)
    present = loss.present_classes(labels)
    costs = loss.costs(classes.detach(), masks.detach(), labels, draws.shared)
    matches = loss.match(classes.detach(), masks.detach(), labels, present, draws)
    for image, ids in enumerate(present):
        assert torch.equal(ids, outputs[f'gt_labels.{image}'])
        for layer in range(len(classes)):
            if len(ids):
                found = costs[:, layer, image][..., ids]
                check(golden, found, f'cost.{layer}.{image}', 1e-4)
            mine = (matches.layer == layer) & (matches.image == image)
            assert torch.equal(matches.query[mine], outputs[f'match.{layer}.{image}.query'])
            target = outputs[f'match.{layer}.{image}.gt']
            assert torch.equal(matches.label[mine], ids[target])


@pytest.mark.parametrize('golden', LOSSES)
def test_losses_points_and_gradients_equal_the_official_ones(golden):
    loss, classes, masks, labels, draws = loss_case(golden)
    outputs = results(golden)
    losses = loss(classes, masks, labels, draws)
    last = len(classes) - 1
    # one family keeps the losses before they are weighed
    weights = loss.weights if 'tolerance' in golden.meta else (1, 1, 1)
    for layer in range(len(classes)):
        for name, weight in zip(('loss_cls', 'loss_mask', 'loss_dice'), weights, strict=True):
            ours = losses[name if layer == last else f'd{layer}.{name}']
            check(golden, ours / weight, f'{name}.{layer}', 1e-5)
    total = sum(losses.values())
    check(golden, total, 'loss_total', 1e-5)
    total.backward()
    for layer in range(len(classes)):
        for name, tensor in (('cls_pred', classes), ('mask_pred', masks)):
            expected = outputs[f'grad.{name}.{layer}']
            assert_gradient(tensor.grad[layer], expected, f'{name}.{layer}')


@pytest.mark.parametrize('golden', LOSSES)
def test_loss_points_equal_the_official_ones(golden):
    loss, classes, masks, labels, draws = loss_case(golden)
    outputs = results(golden)
    order = [
        (layer, image, int(query))
        for layer in range(len(classes))
        for image in range(len(labels))
        for query in outputs[f'match.{layer}.{image}.query']
    ]
    layer, image, query = torch.tensor(order).unbind(1)
    points = loss.loss_points(masks.detach()[layer, image, query], draws)
    expected = torch.cat([outputs[f'points.{i}'] for i in range(len(classes))])
    assert points.shape == expected.shape
    # the same points; equally uncertain ones may come in another order
    for ours, theirs in zip(points, expected, strict=True):
        assert {tuple(p) for p in ours.tolist()} == {tuple(p) for p in theirs.tolist()}


def test_matches_are_rows_of_one_table():
    """Guards the order the stored points rely on: prediction, then image, then query."""
    golden = LOSSES[0].values[0]
    loss, classes, masks, labels, draws = loss_case(golden)
    present = loss.present_classes(labels)
    matches = loss.match(classes.detach(), masks.detach(), labels, present, draws)
    assert isinstance(matches, Matches)
    key = (matches.layer * 100 + matches.image) * 1000 + matches.query
    assert torch.equal(key, key.sort().values)
