"""Losses of one foreground class, by hand, and that ignored pixels change nothing."""

import math

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads import BalancedBCELoss, StructureLoss

LOSSES = [StructureLoss(), StructureLoss(bce='weighted'), BalancedBCELoss()]


def test_structure_loss_by_hand():
    """A window of one pixel varies nowhere, so w is 1 everywhere."""
    logits = torch.tensor([[[[0.0, 0.0], [0.0, 0.0]]]])
    label = torch.tensor([[[1, 0], [0, 0]]])
    iou = 1 - (0.5 + 1) / (3 - 0.5 + 1)
    for form in ('mean', 'weighted'):
        value = StructureLoss(window=1, bce=form)(logits, label)
        assert value == pytest.approx(math.log(2) + iou)
    assert StructureLoss(window=1, loss_weight=2)(logits, label) == pytest.approx(
        2 * (math.log(2) + iou)
    )


def test_pixel_weights_count_zeros_outside_the_image():
    weight = StructureLoss(window=3).pixel_weights(torch.ones(1, 1, 3, 3))
    assert weight[0, 0, 1, 1] == 1
    assert weight[0, 0, 0, 0] == pytest.approx(1 + 5 * (1 - 4 / 9))


def test_weight_of_borders_is_a_setting():
    label = torch.ones(1, 1, 3, 3)
    plain, strong = (
        StructureLoss(window=3, boundary_weight=w).pixel_weights(label) for w in (0, 9)
    )
    assert (plain == 1).all()
    assert strong[0, 0, 0, 0] == pytest.approx(1 + 9 * (1 - 4 / 9))


@pytest.mark.parametrize('loss', LOSSES, ids=lambda m: m.loss_name)
def test_soft_masks_of_zeros_and_ones_are_labels(loss):
    torch.manual_seed(0)
    label, logits = torch.randint(0, 2, (2, 40, 48)), torch.randn(2, 1, 40, 48)
    label[0, :9] = 255
    assert torch.equal(loss(logits, label.float()), loss(logits, label))
    soft = torch.full((2, 40, 48), 0.25)
    assert loss(logits, soft) != loss(logits, torch.zeros_like(soft))


def test_balanced_loss_gives_both_sides_half():
    logits, label = torch.zeros(1, 1, 1, 4), torch.tensor([[[1, 0, 0, 0]]])
    # weight 3 for the foreground pixel, times the share 1/4
    assert BalancedBCELoss()(logits, label) == pytest.approx(6 * math.log(2) / 4 / 4)
    none = torch.zeros_like(label)
    assert BalancedBCELoss()(logits, none).isfinite()


@pytest.mark.parametrize('loss', LOSSES, ids=lambda m: m.loss_name)
def test_ignored_pixels_change_no_loss(loss):
    torch.manual_seed(0)
    label = torch.randint(0, 2, (2, 40, 48))
    label[:, 10:20, 5:30] = 255
    label[1] = 255  # an image of nothing else
    logits = torch.randn(2, 1, 40, 48, requires_grad=True)
    value = loss(logits, label)
    (gradient,) = torch.autograd.grad(value, logits)
    void = (label == 255)[:, None]
    assert value.isfinite()
    assert (gradient[void] == 0).all()
    assert (gradient[~void] != 0).all()
    other = torch.where(void, torch.randn_like(logits) * 50, logits)
    assert torch.equal(loss(other, label), value)


@pytest.mark.parametrize('loss', LOSSES, ids=lambda m: m.loss_name)
def test_bfloat16_is_compared_in_float32(loss):
    logits, label = torch.randn(1, 1, 8, 8), torch.randint(0, 2, (1, 8, 8))
    half = logits.bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(half, label)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(half.float(), label))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: StructureLoss(bce='sum'), "bce='sum', expected one of mean, weighted"),
        (lambda: StructureLoss(window=30), 'window=30, expected an odd number'),
        (lambda: StructureLoss(boundary_weight=-1), 'boundary_weight=-1, expected 0 or more'),
        (
            lambda: StructureLoss()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4)),
            'the head gives 2: set decode_head.out_channels=1',
        ),
        (
            lambda: BalancedBCELoss()(
                torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
            ),
            'takes no pixel weights',
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_registered_for_the_heads_of_mmseg():
    head = MODELS.build(
        dict(
            type='FCNHead',
            in_channels=4,
            channels=4,
            num_convs=0,
            concat_input=False,
            num_classes=2,
            out_channels=1,
            threshold=0.5,
            loss_decode=dict(type='StructureLoss'),
        )
    )
    losses = head.loss_decode(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4))
    assert losses.isfinite()
