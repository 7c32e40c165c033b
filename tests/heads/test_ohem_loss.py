"""OHEMLoss: the same as mmseg's on every kind of batch, finite where that is not."""

import pytest
import torch
from mmseg.models.losses.ohem_cross_entropy_loss import OhemCrossEntropy

from rein_seg.errors import UserError
from rein_seg.heads import OHEMLoss

WEIGHTS = [0.5, 1.0, 2.0, 0.1]


def batch(scale=1.0):
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 8, 10) * scale, torch.randint(0, 4, (2, 8, 10))
    labels[0, :3] = 255
    return logits, labels


@pytest.mark.parametrize('class_weight', [None, WEIGHTS])
@pytest.mark.parametrize('scale', [0.1, 5.0, 12.0])
@pytest.mark.parametrize('min_kept', [1, 20, 130, 100000])
def test_equals_the_loss_of_mmseg(class_weight, scale, min_kept):
    logits, labels = batch(scale)
    found = []
    for make, keys in ((OHEMLoss, ('thresh',)), (OhemCrossEntropy, ('thres',))):
        x = logits.clone().requires_grad_()
        options = dict(class_weight=class_weight, loss_weight=0.4, min_kept=min_kept)
        value = make(**{keys[0]: 0.9}, **options)(x, labels)
        value.backward()
        found.append((value.detach(), x.grad))
    torch.testing.assert_close(found[0], found[1])
    assert found[0][0] > 0


def test_a_batch_without_hard_pixels_is_finite():
    logits = torch.tensor([200.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    assert OhemCrossEntropy(thres=0.9)(logits, labels).isnan()
    assert OHEMLoss()(logits, labels) == 0
    assert OHEMLoss()(logits, torch.full_like(labels, 255)) == 0
    assert OHEMLoss()(logits, labels + 7, ignore_index=7) == 0


@pytest.mark.parametrize(
    ('options', 'channels', 'weight', 'message'),
    [
        (dict(class_weight=WEIGHTS), 3, None, 'class_weight has 4 numbers, the head has 3 classes'),
        ({}, 1, None, 'one channel.*StructureLoss'),
        ({}, 3, torch.ones(1, 2, 2), 'remove the sampler'),
    ],
)
def test_bad_input(options, channels, weight, message):
    labels = torch.zeros(1, 2, 2, dtype=torch.long)
    with pytest.raises(UserError, match=message):
        OHEMLoss(**options)(torch.zeros(1, channels, 2, 2), labels, weight=weight)


def test_a_name_that_would_not_train():
    with pytest.raises(UserError, match="loss_name='ohem'"):
        OHEMLoss(loss_name='ohem')
