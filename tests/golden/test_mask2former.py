"""The Mask2Former head against the official one: every layer, prediction, losses, gradients."""

import contextlib

import pytest
import torch

from rein_seg.fast.dispatch import without
from rein_seg.heads import Mask2FormerHead
from rein_seg.heads.mask2former.losses import Matches, SetLoss
from rein_seg.structures import Features
from tests.golden.collect import assert_gradient, assert_near, cases

HEADS = cases('mask2former', 'head') + cases('rein', 'reinhead')
LOSSES = cases('mask2former', 'mask2former_loss')


@pytest.fixture(params=['fast', 'plain'], autouse=True)
def _form(request):
    with contextlib.nullcontext() if request.param == 'fast' else without():
        yield


def build_head(config, *, linked, **options):
    """Builds our head from the short names of the official config."""
    return Mask2FormerHead(
        config['in_channels'],
        num_classes=config.get('classes', 2),
        feat_channels=config['feat'],
        num_queries=config.get('queries', 1),
        query_dims=config['feat'] if linked else None,
        content_from_queries=config.get('replace_query_feat', True),
        num_heads=config['heads'],
        encoder_layers=config['enc_layers'],
        decoder_layers=config.get('dec_layers', 1),
        encoder_hidden=config['enc_ffn'],
        decoder_hidden=config.get('dec_ffn', 8),
        num_points=config['points'],
        norm_groups=config['groups'],
        project_inputs=config.get('enforce_proj', False),
        **options,
    ).eval()


def given(golden):
    inputs, levels = golden.tensors('input'), len(golden.meta['config']['in_channels'])
    maps = tuple(inputs[f'feat{i}'] for i in range(levels))
    return Features(maps, inputs.get('query'))


@pytest.mark.parametrize('golden', HEADS)
@torch.no_grad()
def test_head_equals_the_official_one_in_every_layer(golden):
    features, outputs = given(golden), golden.tensors('output')
    head = build_head(golden.meta['config'], linked=features.queries is not None)
    head.load_state_dict(golden.tensors('weight'), strict=True)
    classes, masks = head(features)
    assert len(classes) == golden.meta['config']['dec_layers'] + 1
    for layer in range(len(classes)):
        assert_near(classes[layer], outputs[f'cls_pred.{layer}'], f'cls_pred.{layer}')
        assert_near(masks[layer], outputs[f'mask_pred.{layer}'], f'mask_pred.{layer}')
    size = outputs['predict'].shape[-2:]
    predicted = head.predict(features, tuple(size))
    assert_near(predicted, outputs['predict'], 'predict')


@pytest.mark.parametrize('golden', cases('mask2former', 'pixel'))
@torch.no_grad()
def test_pixel_decoder_equals_the_official_one(golden):
    decoder = build_head(golden.meta['config'], linked=False).pixel_decoder
    decoder.load_state_dict(golden.tensors('weight'), strict=True)
    outputs = golden.tensors('output')
    pixels, memory = decoder(given(golden).maps, (1, 1, 1, 1))
    assert_near(pixels, outputs['mask_feature'], 'mask_feature')
    for level, x in enumerate(memory):
        assert_near(x, outputs[f'multi_scale.{level}'], f'multi_scale.{level}')


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
    layers = golden.meta['config']['dec_layers'] + 1
    classes, masks = (
        torch.stack([inputs[f'{name}.{i}'] for i in range(layers)]).requires_grad_()
        for name in ('cls_pred', 'mask_pred')
    )
    labels = inputs['gt_sem_seg'][:, 0].long()
    loss = SetLoss(golden.meta['config']['classes'], num_points=golden.meta['config']['num_points'])
    return loss, classes, masks, labels, Stored(inputs, layers, len(labels))


@pytest.mark.parametrize('golden', LOSSES)
def test_costs_and_matching_equal_the_official_ones(golden):
    loss, classes, masks, labels, draws = loss_case(golden)
    outputs = golden.tensors('output')
    present = loss.present_classes(labels)
    costs = loss.costs(classes.detach(), masks.detach(), labels, draws.shared)
    matches = loss.match(classes.detach(), masks.detach(), labels, present, draws)
    for image, ids in enumerate(present):
        assert torch.equal(ids, outputs[f'gt_labels.{image}'])
        for layer in range(len(classes)):
            if len(ids):
                expected = outputs[f'cost.{layer}.{image}']
                assert_near(costs[:, layer, image][..., ids], expected, f'cost.{layer}.{image}')
            mine = (matches.layer == layer) & (matches.image == image)
            assert torch.equal(matches.query[mine], outputs[f'match.{layer}.{image}.query'])
            target = outputs[f'match.{layer}.{image}.gt']
            assert torch.equal(matches.label[mine], ids[target])


@pytest.mark.parametrize('golden', LOSSES)
def test_losses_points_and_gradients_equal_the_official_ones(golden):
    loss, classes, masks, labels, draws = loss_case(golden)
    outputs = golden.tensors('output')
    losses = loss(classes, masks, labels, draws)
    last = len(classes) - 1
    for layer in range(len(classes)):
        for name in ('loss_cls', 'loss_mask', 'loss_dice'):
            ours = losses[name if layer == last else f'd{layer}.{name}']
            assert_near(ours, outputs[f'{name}.{layer}'], f'{name}.{layer}', 1e-5)
    total = sum(losses.values())
    assert_near(total, outputs['loss_total'], 'loss_total', 1e-5)
    total.backward()
    for layer in range(len(classes)):
        for name, tensor in (('cls_pred', classes), ('mask_pred', masks)):
            expected = outputs[f'grad.{name}.{layer}']
            assert_gradient(tensor.grad[layer], expected, f'{name}.{layer}')


@pytest.mark.parametrize('golden', LOSSES)
def test_loss_points_equal_the_official_ones(golden):
    loss, classes, masks, labels, draws = loss_case(golden)
    outputs = golden.tensors('output')
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
