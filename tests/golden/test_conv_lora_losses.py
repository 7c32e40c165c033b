"""Losses of Conv-LoRA's recipes: values and gradients, matching with stored points."""

import pytest
import torch

from rein_seg.heads import BalancedBCELoss, StructureLoss
from rein_seg.heads.mask2former.losses import SetLoss
from rein_seg.heads.sam.head import SET_LOSS
from tests.golden.collect import assert_gradient, assert_near, cases

BINARY = cases('conv_lora', 'losses')
SETS = cases('conv_lora', 'mask2former_loss')


def binary(golden, loss):
    """Value and gradient of a loss of one channel."""
    inputs = golden.tensors('input')
    logits = inputs['logits'].requires_grad_()
    value = loss(logits, inputs['target'][:, 0].long())
    return value, torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize('golden', BINARY)
def test_structure_loss_and_its_parts(golden):
    outputs, gradients = golden.tensors('output'), golden.tensors('grad')
    value, gradient = binary(golden, StructureLoss())
    assert_near(value, outputs['structure_loss'][0], 'structure_loss', 1e-5)
    assert_gradient(gradient, gradients['structure_loss.logits'], 'structure_loss')
    intended, _ = binary(golden, StructureLoss(bce='weighted'))
    assert_near(intended, outputs['structure_loss_as_intended'][0], 'as intended', 1e-5)
    inputs, loss = golden.tensors('input'), StructureLoss()
    target = inputs['target'].float()
    weight = loss.pixel_weights(target)
    assert_near(weight, outputs['structure_weight'], 'weight', 1e-5)
    iou = loss.soft_iou(inputs['logits'].sigmoid(), target, weight)
    assert_near(iou, outputs['structure_weighted_iou'], 'iou', 1e-5)


@pytest.mark.parametrize('golden', BINARY)
def test_balanced_cross_entropy(golden):
    value, gradient = binary(golden, BalancedBCELoss())
    assert_near(value, golden.tensors('output')['balanced_bce'][0], 'balanced_bce', 1e-5)
    assert_gradient(gradient, golden.tensors('grad')['balanced_bce.logits'], 'balanced_bce')


class Stored:
    """Gives the points that the official run drew."""

    def __init__(self, inputs, images):
        self.shared = torch.stack([inputs[f'match_points{i}'] for i in range(images)], dim=1)
        self.inputs = inputs

    def matching(self, layers, images, number, device):
        assert self.shared.shape == (layers, images, number, 2)
        return self.shared

    def candidates(self, masks, number, device):
        points = self.inputs['loss_points_candidates']
        assert points.shape == (masks, number, 2)
        return points

    def fresh(self, masks, number, device):
        points = self.inputs['loss_points_random']
        assert points.shape == (masks, number, 2)
        return points


@pytest.mark.parametrize('golden', SETS)
def test_set_loss_and_matching(golden):
    config, inputs = golden.meta['config'], golden.tensors('input')
    outputs = golden.tensors('output')
    cost = config['matcher_cost']
    assert SET_LOSS['cost_weights'] == (cost['class_'], cost['mask'], cost['dice'])
    images = len(inputs['mask_logits'])
    labels = torch.stack([label_map(inputs, i, config['num_classes']) for i in range(images)])
    loss = SetLoss(
        config['num_classes'],
        **SET_LOSS,
        num_points=config['train_num_points'],
        oversample=config['oversample_ratio'],
        uncertain_share=config['importance_sample_ratio'],
        no_object_weight=config['no_object_weight'],
    )
    classes, masks = inputs['class_logits'][None], inputs['mask_logits'][None]
    draws = Stored(inputs, images)
    found = loss.match(classes, masks, labels, loss.present_classes(labels), draws)
    for image in range(images):
        target = inputs[f'labels{image}'][outputs[f'match_target{image}']]
        here = found.image == image
        assert torch.equal(found.query[here], outputs[f'match_query{image}'])
        assert torch.equal(found.label[here], target)
    losses = loss(classes, masks, labels, draws)
    names = {'loss_cls': 'loss_cross_entropy', 'loss_mask': 'loss_mask', 'loss_dice': 'loss_dice'}
    for ours, official in names.items():
        assert_near(losses[ours], outputs[official][0], official, 1e-5)
    assert_near(sum(losses.values()), outputs['total_unweighted_sum'][0], 'total', 1e-5)


def label_map(inputs, image, num_classes):
    """The (H, W) map that the stored masks came from; no class where there is no mask."""
    masks, ids = inputs[f'masks{image}'].bool(), inputs[f'labels{image}'].long()
    assert masks.sum(0).max() <= 1, 'masks overlap'
    return torch.where(masks.any(0), ids[masks.int().argmax(0)], num_classes)
