"""The Dice loss of all classes: its sums, its ignored pixels, its refusals."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.heads import BatchDiceLoss


def test_sums_run_over_the_batch_and_the_mean_over_the_classes():
    logits = torch.tensor([[[[0.0]], [[0.0]]], [[[9e3]], [[0.0]]]])  # p0 = 0.5, then 1
    label = torch.tensor([[[0]], [[1]]])
    first = 2 * 0.5 / (0.25 + 1 + 1)  # class 0: p = 0.5, 1; y = 1, 0
    second = 0 / (0.25 + 1) + 2 * 0 / 1  # class 1: p = 0.5, 0; y = 0, 1
    expected = 1 - (first + second) / 2
    assert BatchDiceLoss()(logits, label).item() == pytest.approx(expected, abs=1e-5)
    assert BatchDiceLoss(loss_weight=0.5)(logits, label).item() == pytest.approx(
        expected / 2, abs=1e-5
    )


def test_ignored_pixels_change_no_loss_and_get_no_gradient():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    label = torch.randint(3, (2, 4, 5))
    label[:, 2:] = 255
    loss = BatchDiceLoss()(logits, label)
    loss.backward()
    assert not logits.grad[:, :, 2:].any() and logits.grad[:, :, :2].abs().min() > 0
    assert loss.item() == pytest.approx(BatchDiceLoss()(logits[:, :, :2], label[:, :2]).item())


def test_a_batch_without_a_labelled_pixel_has_no_gradient():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    BatchDiceLoss()(logits, torch.full((1, 2, 2), 255)).backward()
    assert not logits.grad.any()


@pytest.mark.parametrize(
    ('channels', 'weight', 'told'),
    [(1, None, 'the head gives one channel'), (2, torch.ones(1, 2, 2), 'takes no pixel weights')],
)
def test_refusals(channels, weight, told):
    with pytest.raises(UserError, match=told):
        BatchDiceLoss()(torch.zeros(1, channels, 2, 2), torch.zeros(1, 2, 2).long(), weight)


def test_a_name_that_would_not_train_is_refused():
    with pytest.raises(UserError, match="loss_name='dice'"):
        BatchDiceLoss(loss_name='dice')
