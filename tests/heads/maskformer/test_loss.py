"""MaskFormer's loss: costs, matching and losses by hand; ignored pixels; images without classes."""

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from rein_seg.errors import UserError
from rein_seg.heads.maskformer import MaskFormerLoss

LAYERS, IMAGES, QUERIES, CLASSES = 2, 2, 6, 4


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randn(LAYERS, IMAGES, QUERIES, CLASSES + 1, generator=generator)
    masks = torch.randn(LAYERS, IMAGES, QUERIES, 8, 12, generator=generator)
    labels = torch.randint(0, CLASSES, (IMAGES, 16, 24), generator=generator)
    labels[0][labels[0] == 2] = 255
    return classes.requires_grad_(), masks.requires_grad_(), labels


def focal(x, y):
    p = x.sigmoid()
    right = torch.where(y > 0, p, 1 - p)
    return torch.where(y > 0, 0.25, 0.75) * (1 - right) ** 2 * -right.log()


def dice(x, y):
    p = x.sigmoid()
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


def expected_losses(classes, masks, labels):
    """The definition, query by query."""
    found = {}
    pairs = sum(len(set(label.unique().tolist()) - {255}) for label in labels)
    for layer in range(LAYERS):
        target = torch.full((IMAGES, QUERIES), CLASSES)
        mask_loss, dice_loss = 0, 0
        for image in range(IMAGES):
            ids = [k for k in range(CLASSES) if (labels[image] == k).any()]
            small = labels[image, ::2, ::2]
            cost = torch.zeros(QUERIES, len(ids))
            for q in range(QUERIES):
                x, p = masks[layer, image, q], classes[layer, image, q].softmax(0)
                for i, k in enumerate(ids):
                    y = (small == k).float()
                    cost[q, i] = 20 * focal(x, y).mean() + dice(x, y) - p[k]
            for q, i in zip(*linear_sum_assignment(cost.detach().numpy()), strict=True):
                target[image, q] = ids[i]
                x = masks[layer, image, q]
                x = F.interpolate(x[None, None], size=labels.shape[1:], mode='bilinear')[0, 0]
                y = (labels[image] == ids[i]).float()
                mask_loss = mask_loss + focal(x, y).mean()
                dice_loss = dice_loss + dice(x, y)
        weight = torch.tensor([1.0] * CLASSES + [0.1])
        logits = classes[layer].flatten(0, 1)
        prefix = '' if layer == LAYERS - 1 else f'd{layer}.'
        found[f'{prefix}loss_cls'] = F.cross_entropy(logits, target.flatten(), weight)
        found[f'{prefix}loss_mask'] = 20 * mask_loss / pairs
        found[f'{prefix}loss_dice'] = dice_loss / pairs
    return found


def test_losses_and_gradients_follow_the_definition():
    classes, masks, labels = inputs()
    found, expected = MaskFormerLoss(CLASSES)(classes, masks, labels), None
    sum(found.values()).backward()
    grads = classes.grad.clone(), masks.grad.clone()
    classes.grad = masks.grad = None
    expected = expected_losses(classes, masks, labels)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)
    sum(expected.values()).backward()
    torch.testing.assert_close(grads[0], classes.grad, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(grads[1], masks.grad, rtol=1e-4, atol=1e-7)


def test_ignored_pixels_are_dark_or_left_out():
    labels = torch.full((1, 4, 4), 255)
    labels[:, :2] = 1
    classes = torch.tensor([[[[0.0, 9.0, 0.0]]]])
    bright = torch.full((1, 1, 1, 4, 4), 8.0)
    dark = bright.clone()
    dark[..., 2:, :] = -8

    def losses(masks, ignored):
        found = MaskFormerLoss(2, ignored=ignored)(classes, masks, labels)
        return found['loss_mask'].item(), found['loss_dice'].item()

    assert losses(dark, 'negative') == pytest.approx((0, 0), abs=1e-3)
    mask, dice = losses(bright, 'negative')
    assert mask == pytest.approx(20 * 0.5 * 0.75 * 8, rel=0.01) and dice > 0.3
    assert losses(bright, 'masked') == pytest.approx(losses(dark, 'masked'), abs=1e-6)


def test_a_mask_of_ignored_pixels_costs_nothing_in_matching_where_they_are_left_out():
    labels = torch.full((1, 4, 4), 255)
    labels[:, :2] = 1
    masks = torch.full((1, 1, 2, 4, 4), 8.0)
    masks[:, :, 1, 2:] = -8
    classes, present = torch.zeros(1, 1, 2, 3), [torch.tensor([1])]
    negative = MaskFormerLoss(2).costs(classes, masks, labels, present)[0, 0, :, 1]
    masked = MaskFormerLoss(2, ignored='masked').costs(classes, masks, labels, present)[0, 0, :, 1]
    assert negative[0] > negative[1] + 1
    torch.testing.assert_close(masked[0], masked[1])


def test_images_of_nothing_cost_only_class_loss_and_keep_the_graph():
    classes, masks, labels = inputs()
    losses = MaskFormerLoss(CLASSES)(classes, masks, torch.full_like(labels, 255))
    assert losses['loss_mask'] == losses['d0.loss_dice'] == 0
    sum(losses.values()).backward()
    assert classes.grad.any()
    assert masks.grad is not None and not masks.grad.any()


def test_more_classes_than_queries():
    classes, masks, labels = inputs()
    losses = MaskFormerLoss(CLASSES)(classes[:, :, :2], masks[:, :, :2], labels)
    assert all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(cost_weights=[1.0, 2.0]), 'MaskFormerLoss: cost_weights=.*expected three'),
        (dict(gamma=0.5), 'MaskFormerLoss gamma=0.5: expected a number, 0, or at least 1'),
        (dict(ignored='dark'), "MaskFormerLoss ignored='dark': expected negative or masked"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(UserError, match=message):
        MaskFormerLoss(CLASSES, **options)
