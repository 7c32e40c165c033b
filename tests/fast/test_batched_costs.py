"""Matching costs in one batch against one image of one prediction after the other."""

import pytest
import torch

from rein_seg.fast.batched_costs import costs
from rein_seg.heads.mask2former.losses import SetLoss

LAYERS, IMAGES, QUERIES, CLASSES, POINTS = 3, 2, 6, 4, 50


@pytest.mark.parametrize('leave_out_ignored', [False, True])
def test_costs_of_the_classes_of_an_image_are_the_plain_ones(leave_out_ignored):
    loss = SetLoss(CLASSES, num_points=POINTS, leave_out_ignored=leave_out_ignored)
    classes = torch.randn(LAYERS, IMAGES, QUERIES, CLASSES + 1)
    masks = torch.randn(LAYERS, IMAGES, QUERIES, 8, 8)
    labels = torch.randint(0, CLASSES, (IMAGES, 16, 16))
    labels[0, labels[0] == 1] = 255
    labels[1] = labels[1].clamp(max=1)
    points = torch.rand(LAYERS, IMAGES, POINTS, 2)
    found = costs(loss, classes, masks, labels, points)
    expected = type(loss).costs.plain(loss, classes, masks, labels, points)
    for image, ids in enumerate(([0, 2, 3], [0, 1])):
        ours, plain = found[:, :, image][..., ids], expected[:, :, image][..., ids]
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
