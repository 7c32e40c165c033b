"""The losses of ATM, computed by hand: both treatments of ignored pixels, images of nothing."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.heads.atm import ATMLoss

CLASSES = 4


def draw():
    generator = torch.Generator().manual_seed(0)
    masks = torch.randn(2, CLASSES, 6, 8, generator=generator)
    labels = torch.randint(0, 3, (2, 6, 8), generator=generator)
    labels[0, :2] = 255
    return masks.requires_grad_(), labels


def by_hand(masks, labels, *, masked=False):
    """Focal and dice loss, pixel by pixel."""
    focal, dice, pairs = [], [], 0
    for image, label in zip(masks.detach(), labels, strict=True):
        keep = label != 255 if masked else torch.ones_like(label, dtype=torch.bool)
        for k in range(CLASSES):
            p, y = image[k][keep].sigmoid(), (label == k)[keep].float()
            q = torch.where(y > 0, p, 1 - p)
            weight = torch.where(y > 0, 0.25, 0.75)
            focal.append((-weight * (1 - q) ** 2 * q.log()).mean())
            if y.any():
                pairs += 1
                dice.append(1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1))
    return {'loss_mask': 100 * sum(focal) / pairs, 'loss_dice': sum(dice) / pairs}


@pytest.mark.parametrize('ignored', ['negative', 'masked'])
def test_values(ignored):
    masks, labels = draw()
    found = ATMLoss(ignored=ignored)(masks, labels)
    for name, expected in by_hand(masks, labels, masked=ignored == 'masked').items():
        torch.testing.assert_close(found[name], expected)


def test_ignored_pixels_are_dark_for_every_class_or_add_nothing():
    masks, labels = draw()
    for ignored in ('negative', 'masked'):
        (gradient,) = torch.autograd.grad(
            sum(ATMLoss(ignored=ignored)(masks, labels).values()), masks
        )
        at_ignored = gradient[0][:, :2]
        if ignored == 'negative':
            assert (at_ignored > 0).all()  # a step makes every mask darker there
        else:
            assert not at_ignored.any()


def test_weights_and_focus():
    masks, labels = draw()
    plain = ATMLoss()(masks, labels)
    loss = ATMLoss(mask_weight=50.0, dice_weight=2.0)(masks, labels)
    torch.testing.assert_close(loss['loss_mask'], plain['loss_mask'] / 2)
    torch.testing.assert_close(loss['loss_dice'], plain['loss_dice'] * 2)
    even = ATMLoss(mask_weight=2.0, alpha=0.5, gamma=0.0)(masks, labels)['loss_mask']
    target = torch.stack([labels == k for k in range(CLASSES)], dim=1).float()
    each = F.binary_cross_entropy_with_logits(masks, target, reduction='none').mean((2, 3))
    torch.testing.assert_close(even, each.sum() / target.flatten(2).any(2).sum())


@pytest.mark.parametrize('ignored', ['negative', 'masked'])
def test_images_of_nothing_give_finite_losses_and_gradients(ignored):
    masks, labels = draw()
    losses = ATMLoss(ignored=ignored)(masks, torch.full_like(labels, -2))
    (gradient,) = torch.autograd.grad(sum(losses.values()), masks)
    assert gradient.isfinite().all()
    assert losses['loss_dice'] == 0
    expected = 0 if ignored == 'masked' else 100 * 0.75
    each = masks.detach().sigmoid() ** 2 * F.softplus(masks.detach())
    torch.testing.assert_close(losses['loss_mask'].detach(), expected * each.mean((2, 3)).sum())


def test_large_logits_and_half_precision_stay_finite():
    masks, labels = draw()
    found = ATMLoss()(masks * 1e4, labels)
    assert all(value.isfinite() for value in found.values())
    exact = ATMLoss()(masks.bfloat16().float(), labels)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        cast = ATMLoss()(masks.bfloat16(), labels)
    for name, value in cast.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name])


def test_masks_are_resized_to_the_labels():
    masks, _ = draw()
    labels = torch.randint(0, CLASSES, (2, 30, 20))
    enlarged = F.interpolate(masks, size=(30, 20), mode='bilinear')
    assert ATMLoss()(masks, labels) == ATMLoss()(enlarged, labels)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(ignored='skip'), "ignored='skip': expected negative or masked"),
        (dict(alpha=2.0), 'alpha=2.0: expected a number, from 0 to 1'),
        (dict(gamma=0.5), 'gamma=0.5: expected a number, 0, or at least 1'),
        (dict(mask_weight=-1.0), 'mask_weight=-1.0: expected a number, at least 0'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=f'ATMLoss {message}'):
        ATMLoss(**options)
