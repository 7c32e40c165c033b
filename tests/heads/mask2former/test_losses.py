"""Set losses beyond the golden vectors: images without classes, ignored pixels, precision."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from rein_seg.errors import UserError
from rein_seg.heads.mask2former.losses import Draws, SetLoss
from rein_seg.heads.processes import dist_mean

LAYERS, IMAGES, QUERIES, CLASSES = 2, 2, 6, 4


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randn(LAYERS, IMAGES, QUERIES, CLASSES + 1, generator=generator)
    masks = torch.randn(LAYERS, IMAGES, QUERIES, 8, 8, generator=generator)
    labels = torch.randint(0, CLASSES, (IMAGES, 16, 16), generator=generator)
    return classes.requires_grad_(), masks.requires_grad_(), labels


def test_images_of_nothing_cost_only_class_loss_and_keep_the_graph():
    classes, masks, labels = inputs()
    losses = SetLoss(CLASSES, num_points=32)(classes, masks, torch.full_like(labels, 255))
    assert losses['loss_mask'] == losses['d0.loss_dice'] == 0
    sum(losses.values()).backward()
    assert classes.grad.any()
    assert masks.grad is not None and not masks.grad.any()


def test_an_image_of_nothing_counts_as_a_pair_or_not():
    classes, masks, labels = inputs()
    labels[1] = 255
    pairs = len(labels[0].unique())
    images, alone = (
        SetLoss(CLASSES, num_points=32, divisor=divisor)(classes, masks, labels, Corners())
        for divisor in ('images', 'pairs')
    )
    assert images['loss_cls'] == alone['loss_cls']
    for name in ('d0.loss_mask', 'loss_mask', 'loss_dice'):
        expected = images[name] * (pairs + 1) / pairs
        torch.testing.assert_close(alone[name], expected, rtol=1e-6, atol=0)


def test_a_batch_of_nothing_has_a_divisor_of_pairs_too():
    classes, masks, labels = inputs()
    loss = SetLoss(CLASSES, num_points=32, divisor='pairs')
    losses = loss(classes, masks, torch.full_like(labels, 255))
    assert losses['loss_mask'] == losses['loss_dice'] == 0


def test_an_unknown_divisor_is_named():
    with pytest.raises(UserError, match="divisor='masks', expected images or pairs"):
        SetLoss(CLASSES, divisor='masks')


def test_perfect_masks_cost_almost_nothing():
    _, _, labels = inputs()
    labels = labels[:, :4, :4].repeat_interleave(4, 1).repeat_interleave(4, 2)
    masks = torch.full((1, IMAGES, QUERIES, 16, 16), -20.0)
    classes = torch.full((1, IMAGES, QUERIES, CLASSES + 1), -10.0)
    classes[..., CLASSES] = 10
    for image in range(IMAGES):
        for k in range(CLASSES):
            masks[0, image, k] = torch.where(labels[image] == k, 20.0, -20.0)
            classes[0, image, k, k], classes[0, image, k, CLASSES] = 10, -10
    draws = Corners()
    losses = SetLoss(CLASSES, num_points=64)(classes, masks, labels, draws)
    assert losses['loss_cls'] < 1e-6
    assert losses['loss_mask'] < 1e-6
    assert losses['loss_dice'] < 1e-3


class Corners(Draws):
    """Points in the middle of pixels only, where nothing is soft."""

    def matching(self, layers, images, number, device):
        return self._draw(layers, images, number)

    def candidates(self, masks, number, device):
        return self._draw(masks, number)

    fresh = candidates

    def _draw(self, *shape):
        generator = torch.Generator().manual_seed(0)
        return (torch.randint(0, 16, (*shape, 2), generator=generator) + 0.5) / 16


def test_each_image_is_matched_on_its_own():
    classes, masks, labels = inputs()
    loss, draws = SetLoss(CLASSES, num_points=32), Corners()
    present = loss.present_classes(labels)
    matches = loss.match(classes.detach(), masks.detach(), labels, present, draws)
    points = draws.matching(LAYERS, IMAGES, 32, None)
    costs = loss.costs(classes.detach(), masks.detach(), labels, points).sum(0)
    for layer in range(LAYERS):
        for image in range(IMAGES):
            query, target = linear_sum_assignment(costs[layer, image][:, present[image]])
            mine = (matches.layer == layer) & (matches.image == image)
            assert matches.query[mine].tolist() == query.tolist()
            assert matches.label[mine].tolist() == present[image][target].tolist()


def test_matching_in_parts_is_matching_at_once():
    classes, masks, labels = inputs()
    loss, found = SetLoss(CLASSES, num_points=32), []
    for parts in (masks, masks.split(1), iter(masks.split(2))):
        matches = loss.match(classes, parts, labels, loss.present_classes(labels), Corners())
        found.append(torch.stack((matches.layer, matches.image, matches.query, matches.label)))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_more_classes_than_queries():
    classes, masks, labels = inputs()
    few = SetLoss(CLASSES, num_points=32)(classes[:, :, :2], masks[:, :, :2], labels)
    assert all(torch.isfinite(value) for value in few.values())


def test_class_ids_beyond_the_classes_are_ignored():
    _, _, labels = inputs()
    labels[0] = 300
    labels[1, 0] = -1
    present = SetLoss(CLASSES).present_classes(labels)
    assert present[0].tolist() == []
    assert present[1].tolist() == labels[1, 1:].unique().tolist()


def test_labels_may_be_bytes():
    classes, masks, labels = inputs()
    loss = SetLoss(CLASSES, num_points=32)
    exact = loss(classes, masks, labels, Corners())
    assert loss(classes, masks, labels.to(torch.uint8), Corners()) == exact


def _average(rank, file, results):
    torch.distributed.init_process_group('gloo', f'file://{file}', world_size=2, rank=rank)
    results[rank] = dist_mean(torch.tensor(2.0 + 4 * rank)).item()
    torch.distributed.destroy_process_group()


def test_the_normaliser_is_the_mean_over_processes(tmp_path):
    context = torch.multiprocessing.get_context('fork')
    results = context.Manager().dict()
    workers = [
        context.Process(target=_average, args=(rank, tmp_path / 'store', results))
        for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert dict(results) == {0: 4.0, 1: 4.0}


def test_losses_are_float32_under_autocast():
    classes, masks, labels = inputs()
    loss = SetLoss(CLASSES, num_points=32)
    exact = loss(classes, masks, labels, Corners())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        cast = loss(classes, masks, labels, Corners())
    assert {v.dtype for v in cast.values()} == {torch.float32}
    for name in exact:
        torch.testing.assert_close(cast[name], exact[name])


def test_divergence_is_named():
    classes, masks, labels = inputs()
    with torch.no_grad():
        masks[0, 0, 0] = float('nan')
    with pytest.raises(FloatingPointError, match='lower the learning rate'):
        SetLoss(CLASSES, num_points=32)(classes, masks, labels)


def test_points_are_uniform():
    points = Draws().matching(2, 3, 5000, torch.device('cpu'))
    assert points.shape == (2, 3, 5000, 2)
    assert (torch.histc(points, 16, 0, 1) / points.numel() * 16 - 1).abs().max() < 0.1


def test_no_state_is_saved():
    assert SetLoss(CLASSES).state_dict() == {}


def test_without_ignored_pixels_every_candidate_counts():
    masks, loss = torch.randn(3, 8, 8), SetLoss(CLASSES, num_points=32)
    seen = []
    for valid in (None, lambda points: points.new_ones(points.shape[:2])):
        torch.manual_seed(0)
        seen.append(loss.loss_points(masks, Draws(), valid))
    assert torch.equal(*seen)
