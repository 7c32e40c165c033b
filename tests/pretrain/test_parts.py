import cv2
import numpy as np
import pytest
import torch

from rein_seg.encoders.plain_vit.tiny_vit import TinyViT
from rein_seg.errors import UserError
from rein_seg.pretrain.model import NeutralView, prediction_loss
from rein_seg.pretrain.muon import make_optimizers, orthogonal
from rein_seg.pretrain.settings import BUDGETS, PretrainSettings, chosen
from rein_seg.pretrain.stream import batches, draw_masks
from rein_seg.pretrain.targets import NUM_COLOURS, NUM_EDGES, edge_energies, patch_targets
from rein_seg.pretrain.training import learning_rate

SMALL = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)


def small_model(seed=0):
    return NeutralView(TinyViT(SMALL, img_size=(32, 64)), seed=seed)


def test_targets_of_a_patch_are_its_own_pixels():
    images = torch.rand(2, 3, 32, 64)
    targets = patch_targets(images)
    assert targets.shape == (2, 4 * 8, NUM_COLOURS + NUM_EDGES)
    changed = images.clone()
    changed[:, :, 8:16, 24:32] += 0.1  # patch 8 + 3
    moved = (patch_targets(changed) - targets)[..., :NUM_COLOURS].abs().amax((0, 2)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [11]


def test_edges_tell_directions_and_do_not_depend_on_contrast():
    ramp = (torch.arange(64) // 4 % 2).float().expand(1, 3, 32, 64)
    energies = edge_energies(ramp)
    assert energies.mean((0, 2, 3)).argmax() == 0  # brightness changes across
    assert edge_energies(ramp.mT.contiguous()).mean((0, 2, 3)).argmax() == 4
    assert torch.allclose(edge_energies(0.5 * ramp), energies, atol=0.02)


def test_the_encoder_sees_the_visible_patches_only():
    model, images = small_model().eval(), torch.randn(1, 3, 32, 64)
    visible, guessed = torch.arange(10)[None], torch.arange(20, 26)[None]
    hidden = images.clone()
    hidden[:, :, 16:] = 9.0  # patches 16 and on
    predicted = model(images, visible, guessed)
    assert predicted.shape == (1, 16, NUM_COLOURS + NUM_EDGES)
    assert torch.equal(predicted, model(hidden, visible, guessed))
    hidden[:, :, :8, :8] = 9.0  # patch 0
    assert not torch.equal(predicted, model(hidden, visible, guessed))


def test_seeing_all_patches_is_the_encoder_itself():
    model, images = small_model().eval(), torch.randn(2, 3, 32, 64)
    every = torch.arange(32).expand(2, -1)
    tokens = model.encode(images, every)[:, 1:]
    assert torch.allclose(model.encoder(images)[-1].flatten(2).mT, tokens, atol=1e-5)


def test_loss_compares_each_prediction_with_its_own_patch():
    targets = torch.randn(2, 32, NUM_COLOURS + NUM_EDGES)
    places = torch.stack([torch.randperm(32)[:9] for _ in range(2)])
    exact = torch.stack([t[p] for t, p in zip(targets, places, strict=True)])
    assert prediction_loss(exact, targets, places) == 0
    assert prediction_loss(exact.flip(1), targets, places) > 0.1


def test_masks_follow_from_the_step_and_do_not_overlap():
    run = PretrainSettings(steps=9, scenes=2, looks=2)
    visible, guessed = draw_masks(run, 5, patches=512)
    assert visible.shape == (4, 205) and guessed.shape == (4, 128)
    assert torch.equal(draw_masks(run, 5, patches=512)[0], visible)
    assert not torch.equal(draw_masks(run, 6, patches=512)[0], visible)
    for row, other in zip(visible.tolist(), guessed.tolist(), strict=True):
        assert len({*row, *other}) == len(row) + len(other)


def test_batches_of_a_step_are_the_same_from_any_start_and_any_workers():
    run = PretrainSettings(steps=3, scenes=2, size=(64, 32))
    whole = list(batches(run, start=0, workers=0))
    assert len(whole) == 3 and whole[0].shape == (2, 3, 3, 32, 64)
    later = list(batches(run, start=2, workers=1))
    assert len(later) == 1 and torch.equal(later[0], whole[2])


def test_workers_start_beside_a_pool_of_opencv():
    """Once a worker hung: it ended the pool of its parent, of which it has no threads."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (9, 9), 0)
        run = PretrainSettings(steps=1, scenes=2, size=(64, 32))
        assert len(list(batches(run, start=0, workers=1))) == 1
    finally:
        cv2.setNumThreads(before)


def test_orthogonal_evens_out_singular_values():
    matrices = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0))
    for given in (matrices, matrices.mT):
        values = torch.linalg.svdvals(orthogonal(given))
        assert values.min() > 0.5 and values.max() < 1.5


def test_optimizers_hold_every_parameter_once_and_reduce_the_loss():
    model = small_model()
    optimizers = make_optimizers(model, lr=5e-3, momentum=0.9, weight_decay=0.0)
    held = [id(p) for o in optimizers for g in o.param_groups for p in g['params']]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    images, places = torch.randn(2, 3, 32, 64), torch.arange(32).expand(2, -1)
    targets, losses = patch_targets(torch.rand(2, 3, 32, 64)), []
    for _ in range(30):
        loss = prediction_loss(model(images, places[:, :16], places[:, 16:]), targets, places)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_rate_rises_then_falls():
    run = PretrainSettings(steps=100, lr=1.0)
    rates = [learning_rate(run, step) for step in range(100)]
    assert rates[0] == 0.2 and max(rates) == rates[4] == 1.0 and rates[-1] < 0.02


def test_settings_are_checked():
    assert chosen('small', lr=None, seed=3).seed == 3 and 'full' in BUDGETS
    with pytest.raises(UserError, match='budget'):
        chosen('huge')
    with pytest.raises(UserError, match='steps=0'):
        chosen('full', steps=0)
    with pytest.raises(UserError, match='keep=0.9'):
        PretrainSettings(steps=1, keep=0.9)
