"""The three parts of the reconstruction: identities that their formulas promise."""

import pytest
import torch
from torch import nn

from rein_seg.heads.repsep.losses import attention_losses, class_loss
from rein_seg.heads.repsep.pathways import LocalStep, high_pass
from rein_seg.heads.repsep.separation import Separation, separate, window_mean


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_details_of_a_constant_are_zero_at_the_border_too():
    constant = torch.full((2, 3, 5, 7), 4.25)
    assert not high_pass(constant).any()
    x = draw(1, 1, 5, 7)
    inner = x[0, 0, 2, 3] - x[0, 0, 1:4, 2:5].mean()
    torch.testing.assert_close(high_pass(x)[0, 0, 2, 3], inner)
    corner = x[0, 0, 0, 0] - (4 * x[0, 0, 0, 0] + 2 * x[0, 0, 0, 1] + 2 * x[0, 0, 1, 0]
                              + x[0, 0, 1, 1]) / 9  # fmt: skip
    torch.testing.assert_close(high_pass(x)[0, 0, 0, 0], corner)


def test_a_constant_map_stays_as_it_is():
    torch.manual_seed(0)
    z = draw(2, 6, 1, 1).expand(2, 6, 9, 11)
    torch.testing.assert_close(Separation(6).double()(z), z.contiguous())


def test_full_strength_doubles_the_distance_from_the_windows_mean():
    z = draw(1, 2, 12, 10)
    moved = separate(z, torch.ones(1, 1, 12, 10, dtype=torch.float64))
    for row, column in [(5, 4), (0, 0), (11, 3)]:
        rows, columns = (slice(max(at - 3, 0), at + 4) for at in (row, column))
        mean = z[:, :, rows, columns].mean((2, 3))  # a window cut at the border
        torch.testing.assert_close(
            moved[:, :, row, column] - mean, 2 * (z[:, :, row, column] - mean)
        )
    torch.testing.assert_close(separate(z, torch.zeros(1, 1, 12, 10)), z)
    torch.testing.assert_close(window_mean(z)[..., 0, 0], z[..., :4, :4].mean((2, 3)))


def test_strength_is_a_number_for_each_place_and_starts_small():
    torch.manual_seed(0)
    module = Separation(4)
    assert module.gate.bias.item() == -2.0
    nn.init.zeros_(module.gate.weight)
    z = draw(1, 4, 8, 8).float()
    torch.testing.assert_close(
        module(z), separate(z, torch.full((1, 1, 8, 8), 1 / (1 + 2.718281828**2)))
    )


def test_a_local_step_adds_nothing_of_a_constant_map():
    torch.manual_seed(0)
    step = LocalStep(5, 6).double()
    local, tap = draw(1, 6, 1, 1).expand(1, 6, 4, 5), draw(1, 5, 1, 1).expand(1, 5, 4, 5)
    bias = step.leave(torch.nn.functional.gelu(step.depthwise.bias)[None, :, None, None])
    torch.testing.assert_close(step(local, tap), local + bias)


def labels_with(*classes):
    labels = torch.full((1, 8, 12), 255)
    for row, index in enumerate(classes):
        labels[0, 2 * row : 2 * row + 2] = index
    return labels


def test_only_classes_of_the_image_get_a_gradient():
    attention = [draw(1, 4, 4, 6, seed=s).requires_grad_() for s in (1, 2)]
    logits = draw(1, 4, 4, seed=3).requires_grad_()
    labels = labels_with(2, 0)
    sum((*attention_losses(attention, labels, 255), class_loss(logits, labels))).backward()
    for each in (*attention, logits):
        assert [bool(each.grad[0, k].any()) for k in range(4)] == [True, False, True, False]


def test_losses_equal_their_definitions():
    attention, labels = [draw(1, 3, 8, 12, seed=s) for s in (1, 2)], labels_with(2, 1, 1)
    known = labels[0] != 255
    bce = dice = 0
    for logits in attention:
        each = []
        for k in (1, 2):
            p, mask = logits[0, k].sigmoid()[known], (labels[0] == k)[known].double()
            each.append((
                -(mask * p.log() + (1 - mask) * (1 - p).log()).mean(),
                1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1),
            ))  # fmt: skip
        bce, dice = bce + sum(e[0] for e in each) / 2, dice + sum(e[1] for e in each) / 2
    found = attention_losses(attention, labels, 255)
    torch.testing.assert_close(
        torch.stack(found).double(), torch.stack((bce, dice)), atol=1e-6, rtol=0
    )
    logits = draw(1, 3, 3)
    expected = -sum(logits[0, k].log_softmax(0)[k] for k in (1, 2)) / 2
    torch.testing.assert_close(class_loss(logits, labels).double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize('ignore_index', [255, None])
def test_an_ignored_image_has_no_loss(ignore_index):
    attention = [draw(1, 3, 4, 6).requires_grad_()]
    bce, dice = attention_losses(attention, torch.full((1, 8, 12), 255), ignore_index)
    (bce + dice).backward()
    assert bce == dice == 0 and not attention[0].grad.any()
