"""EoMT x every method x every plain vision transformer."""

import pytest
import torch

from tests.heads.eomt.joined import joined, on_every_pair, predictions, windows
from tests.peft.cases import named
from tests.peft.contract import image, randomise, total

FROZEN = named('frozen')


def loss(model, images):
    """Takes every output and every prediction in, and what the method learns by itself."""
    torch.manual_seed(5)
    found, features = predictions(model, images)
    weighted = sum((x * torch.linspace(-1, 1, x.numel()).view(x.shape)).sum() for x in found)
    method = model.backbone.peft
    own = [*method.aux_losses().values(), *method.image_losses(torch.tensor([0, 2])).values()]
    return weighted + total(features) + sum(own)


@on_every_pair
def test_start_is_the_frozen_encoder_s_where_the_method_says_so(case, family):
    model = joined(case, family)
    if not model.backbone.peft.exact_at_start:
        pytest.skip('starts elsewhere')
    with torch.no_grad():
        found, _ = predictions(model, image())
        expected, _ = predictions(joined(FROZEN, family), image())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@on_every_pair
def test_gradients_reach_every_trainable_parameter_with_and_without_checkpointing(case, family):
    gradients = []
    for saving in (False, True):
        model = joined(case, family, probability=0.5, activation_checkpointing=saving)
        randomise(model.backbone)
        model.backbone.train()
        model.head.train()
        loss(model, image()).backward()
        trained = [(n, p) for m in (model.backbone, model.head) for n, p in m.named_parameters()]
        gradients.append({name: p.grad for name, p in trained if p.requires_grad})
        assert not any(p.grad is not None for _, p in trained if not p.requires_grad)
    plain, saving = gradients
    assert not [name for name, gradient in plain.items() if gradient is None]
    assert not [name for name, g in plain.items() if not g.isfinite().all() or not g.any()]
    torch.testing.assert_close(saving, plain, rtol=1e-3, atol=1e-4)


@on_every_pair
@torch.no_grad()
def test_trained_tensors_detaching_bfloat16_and_windows(case, family):
    model, other = (joined(case, family, probability=0.0) for _ in range(2))
    randomise(model.backbone)
    found, features = predictions(model, image())
    assert features.early == ()
    # the tensors of the adapter alone make another model the same
    other.backbone.load_state_dict(model.backbone.state_dict(), strict=True)
    assert all(map(torch.equal, predictions(other, image())[0], found))
    model.backbone.detach()
    bare = joined(FROZEN, family)
    assert torch.equal(model.backbone.encoder(image())[-1], bare.backbone.encoder(image())[-1])
    model.backbone.attach()
    assert all(map(torch.equal, predictions(model, image())[0], found))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough, _ = predictions(model, image())
    for near, exact in zip(rough, found, strict=True):
        assert (near.float() - exact).abs().max() < 0.1 * exact.abs().max()
    torch.testing.assert_close(
        windows(model, image(), 1), windows(model, image(), 4), rtol=1e-3, atol=1e-4
    )


@on_every_pair
@torch.no_grad()
def test_merging_keeps_predictions(case, family):
    model = joined(case, family, probability=0.0)
    randomise(model.backbone)
    before, _ = predictions(model, image())
    if not case.merges or family in case.not_into:
        with pytest.raises(NotImplementedError, match='cannot be merged'):
            model.backbone.merge()
        return
    model.backbone.merge()
    after, _ = predictions(model, image())
    for ours, theirs in zip(after, before, strict=True):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()
