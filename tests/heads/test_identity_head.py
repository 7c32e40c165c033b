"""Scores of pixels and words as logits: temperature, loss, ignored pixels."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.heads import IdentityHead
from rein_seg.structures import Features

CLASSES = 4


def draw():
    torch.manual_seed(0)
    scores = torch.rand(2, CLASSES, 3, 5) * 2 - 1
    labels = torch.randint(0, CLASSES, (2, 12, 20))
    labels[:, :4] = 255
    return Features(maps=(scores.new_zeros(2, 1, 1, 1),), scores=scores), labels


def enlarged(features, size):
    return F.interpolate(features.scores / 0.07, size=size, mode='bilinear', align_corners=False)


def test_the_loss_is_a_mean_over_all_pixels():
    features, labels = draw()
    each = F.cross_entropy(enlarged(features, (12, 20)), labels, ignore_index=255, reduction='none')
    head = IdentityHead(CLASSES)
    found = head.loss(features, labels)
    torch.testing.assert_close(found['loss_ce'], 0.4 * each.sum() / labels.numel())
    own = dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)
    head = IdentityHead(CLASSES, loss_decode=own)
    expected = each.sum() / (labels != 255).sum()
    torch.testing.assert_close(head.loss(features, labels)['loss_ce'], expected)


def test_another_temperature_and_other_losses():
    features, labels = draw()
    losses = [
        dict(type='CrossEntropyLoss', loss_weight=2.0),
        dict(type='BatchDiceLoss', loss_weight=0.5),
    ]
    head = IdentityHead(CLASSES, temperature=0.14, loss_decode=losses)
    plain = IdentityHead(CLASSES, loss_decode=losses[0])
    halved = Features(features.maps, scores=features.scores / 2)
    found = head.loss(features, labels)
    torch.testing.assert_close(found['loss_ce'], plain.loss(halved, labels)['loss_ce'])
    assert sum('loss' in name for name in found) == 2


@pytest.mark.parametrize('temperature', [0, -1, 'x', None])
def test_a_temperature_that_is_none(temperature):
    with pytest.raises(UserError, match=r'temperature=.*: expected a number, above 0'):
        IdentityHead(CLASSES, temperature=temperature)


def test_predictions_are_the_enlarged_logits():
    features, _ = draw()
    head = IdentityHead(CLASSES)
    torch.testing.assert_close(head.predict(features, (9, 8)), enlarged(features, (9, 8)))
    assert not list(head.parameters())
    assert not head.state_dict()


def test_an_image_of_ignored_pixels_gives_a_zero():
    features, labels = draw()
    found = IdentityHead(CLASSES).loss(features, torch.full_like(labels, 255))
    assert found['loss_ce'] == 0
