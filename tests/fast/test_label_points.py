"""Samples of masks and labels, against masks made one by one and torch's grid_sample."""

import torch
import torch.nn.functional as F

from rein_seg.fast.batched_costs import sample_shared
from rein_seg.fast.label_points import sample_class, sample_classes, sample_valid
from rein_seg.heads.mask2former import points

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.randint(0, 5, (2, 6, 9), generator=GENERATOR)
LABELS[0, :2] = 255
POINTS = torch.rand(3, 40, 2, generator=GENERATOR) * 1.2 - 0.1  # some outside
IMAGE = torch.tensor([1, 0, 1])


def plain(maps, points):
    """(R, C, H, W) at (R, P, 2) -> (R, C, P)."""
    return F.grid_sample(maps, points[:, :, None] * 2 - 1, align_corners=False)[..., 0]


def test_every_class_equals_the_sampled_binary_mask():
    masks = torch.stack([(LABELS[IMAGE] == k).float() for k in range(5)], dim=1)
    expected = plain(masks, POINTS)
    torch.testing.assert_close(sample_classes(LABELS, IMAGE, POINTS, 5), expected)
    for wanted in ([3, 0, 4], [3, 3, 3]):  # of one image and class none or two
        torch.testing.assert_close(
            sample_class(LABELS, IMAGE, torch.tensor(wanted), POINTS),
            expected[torch.arange(3), wanted],
        )
    assert sample_class(LABELS, IMAGE[:0], IMAGE[:0], POINTS[:0]).shape == (0, 40)


def test_fewer_classes_than_ids_leave_the_others_out():
    masks = torch.stack([(LABELS[IMAGE] == k).float() for k in range(2)], dim=1)
    torch.testing.assert_close(sample_classes(LABELS, IMAGE, POINTS, 2), plain(masks, POINTS))


def test_masks_at_shared_and_own_points():
    masks = torch.randn(3, 7, 6, 9, generator=GENERATOR)
    for layers, images in ((3, 1), (1, 3)):
        shape = (layers, images)
        shared = sample_shared(masks.unflatten(0, shape), POINTS.unflatten(0, shape))
        torch.testing.assert_close(shared.flatten(0, 1), plain(masks, POINTS))
    torch.testing.assert_close(
        points.sample(masks[:, 0], POINTS), plain(masks[:, :1], POINTS)[:, 0]
    )


def test_one_class_and_its_plain_form():
    wanted = torch.tensor([3, 0, 4])
    expected = points.sample_class.plain(LABELS, IMAGE, wanted, POINTS)
    torch.testing.assert_close(sample_class(LABELS, IMAGE, wanted, POINTS), expected)


def test_valid_points_and_their_plain_form():
    centres = (torch.randint(0, 6, (3, 40, 2), generator=GENERATOR) + 0.5) / torch.tensor([9.0, 6])
    for at in (POINTS, centres):
        expected = points.sample_valid.plain(LABELS, IMAGE, at, 5)
        assert 0 < expected.mean() < 1
        assert torch.equal(sample_valid(LABELS, IMAGE, at, 5), expected)
