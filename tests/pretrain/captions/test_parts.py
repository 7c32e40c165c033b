"""Batches and losses of the pretraining with captions."""

import math

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.pretrain.captions.lexicon import NOUNS
from rein_seg.pretrain.captions.model import contrast, make_towers, other_pictures, window_masks
from rein_seg.pretrain.captions.settings import BUDGETS, CaptionSettings, chosen
from rein_seg.pretrain.captions.stream import UNKNOWN, CaptionedStreets, batches
from rein_seg.pretrain.captions.zero_shot import chance, held_out_crops, name_patches, recall
from rein_seg.pretrain.run import device_and_workers
from rein_seg.pretrain.settings import PretrainSettings

RUN = chosen('smoke', pictures=2, windows=3, phrases=5)


@pytest.fixture(scope='module')
def batch():
    return CaptionedStreets(RUN)[1]


@pytest.fixture(scope='module')
def towers():
    return make_towers(RUN, 'package:tiny_vit.safetensors')


def test_a_batch_follows_from_its_step_alone(batch):
    (again,) = batches(
        chosen('smoke', pictures=2, windows=3, phrases=5, steps=2), start=1, workers=0
    )
    for name, tensor in vars(batch).items():
        assert torch.equal(tensor, getattr(again, name)), name
    other = CaptionedStreets(RUN)[2]
    assert not torch.equal(batch.images, other.images)


def test_the_parts_of_a_batch_belong_together(batch):
    assert batch.images.shape == (2, 3, 128, 256) and batch.images.dtype == torch.uint8
    height, width = batch.crops.shape[-2:]
    assert height % 8 == width % 8 == 0 and 48 <= min(height, width) <= max(height, width) <= 128
    questions = batch.truth.shape[-1]
    assert 2 * len(NOUNS) < questions <= 2 * len(NOUNS) + 5 and len(batch.phrases) == questions
    assert batch.truth.shape == (2, 3, questions) and batch.whole_truth.shape == (4, questions)
    assert len(batch.captions) == 6 and len(batch.wholes) == 4
    top, left, bottom, right = batch.windows.unbind(-1)
    assert ((bottom - top >= 4) & (right - left >= 4) & (bottom <= 16) & (right <= 32)).all()
    assert set(batch.truth.unique().tolist()) <= {0, 1, UNKNOWN}
    # both phrases of a class hold in the same windows
    assert torch.equal(
        batch.truth[..., : len(NOUNS)], batch.truth[..., len(NOUNS) : 2 * len(NOUNS)]
    )


def test_crops_are_cut_from_their_pictures(batch):
    crop, image = batch.crops[1], batch.images[1]
    height, width = crop.shape[-2:]
    places = image.unfold(1, height, 1).unfold(2, width, 1)  # (3, H', W', h, w)
    equal = (places == crop[:, None, None]).all(dim=-1).all(dim=-1).all(dim=0)
    assert equal.sum() >= 1


def test_a_window_is_a_mask_of_patches():
    mask = window_masks(torch.tensor([[[0, 1, 2, 3]]]), (3, 4)).view(3, 4)
    assert mask.tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_a_phrase_is_true_of_a_window_if_it_is_of_a_patch(towers):
    generator = torch.Generator().manual_seed(0)
    patches = F.normalize(torch.randn(1, 6, 4, generator=generator), dim=2)
    phrases = F.normalize(torch.randn(3, 4, generator=generator), dim=1)
    inside = torch.tensor([[[1.0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]]])
    truth = torch.tensor([[[1, 0, UNKNOWN], [0, 1, 1]]])
    with torch.no_grad():
        loss = float(towers.patch_loss(patches, inside, phrases, truth))
        scale, bias = towers.patch_scale.exp(), towers.patch_bias
    yes = torch.sigmoid(patches[0] @ phrases.T * scale + bias)  # (6, 3)
    no = torch.stack([(1 - yes[:2]).prod(0), (1 - yes[:4]).prod(0)])
    expected = -(1 - no[0, 0]).log() - (1 - no[1, 1]).log() - (1 - no[1, 2]).log()
    expected += -no[0, 1].log() / math.sqrt(2) - no[1, 0].log() / math.sqrt(4)
    assert loss == pytest.approx(float(expected / 5), rel=1e-4)


def test_contrast_is_the_mean_of_both_directions():
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))
    columns = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))
    assert float(contrast(logits)) == pytest.approx((rows + columns) / 4)


def test_further_texts_are_of_other_pictures():
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    alone = contrast(logits)
    assert float(contrast(logits, torch.full((2, 3), -torch.inf))) == pytest.approx(float(alone))
    rows = math.log(1 + math.exp(-2) + math.exp(-1)) + math.log(1 + math.exp(-2) + math.exp(-2))
    columns = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))
    assert float(contrast(logits, torch.ones(2, 1))) == pytest.approx((rows + columns) / 4)
    mask = torch.isinf(other_pictures(torch.zeros(4, 6), 2))
    first, second = [True] * 3 + [False] * 3, [False] * 3 + [True] * 3
    assert mask.tolist() == [first, second, first, second]


def test_a_picture_is_asked_for_each_phrase_that_is_known(towers):
    wholes = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), dim=1)
    truth = torch.tensor([[1, UNKNOWN], [0, 1]])
    with torch.no_grad():
        loss = towers.whole_loss(wholes, torch.eye(2), truth)
        scale, bias = towers.whole_scale.exp(), towers.whole_bias
    half = 0.5**0.5
    logits = torch.stack([scale + bias, half * scale + bias, half * scale + bias])
    signs = torch.tensor([1.0, -1.0, 1.0])
    assert loss == pytest.approx(float(F.softplus(-signs * logits).mean()), rel=1e-5)


def test_every_tensor_of_both_towers_gets_a_gradient(towers, batch):
    mean = batch.images.float() / 64 - 2
    losses = towers(batch, mean, batch.crops.float() / 64 - 2)
    assert set(losses) == {'phrase', 'crop', 'content', 'window', 'whole'}
    sum(losses.values()).backward()
    without = {n for n, p in towers.named_parameters() if p.grad is None or not p.grad.abs().sum()}
    # positions behind the longest text; the last norm of a TinyViT is not used
    assert without <= {'encoder.ln1.weight', 'encoder.ln1.bias'}
    assert all(torch.isfinite(p.grad).all() for p in towers.parameters() if p.grad is not None)


def test_the_image_tower_starts_from_tiny_vit_and_the_rest_from_the_seed(towers):
    again, other = (
        make_towers(chosen('smoke', seed=s), 'package:tiny_vit.safetensors') for s in (0, 1)
    )
    for name, tensor in towers.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert torch.equal(towers.encoder.pos_embed, other.encoder.pos_embed)
    assert not torch.equal(towers.text.text_projection, other.text.text_projection)
    assert not torch.equal(towers.encoder.joint.proj, other.encoder.joint.proj)


def test_recall_counts_equal_captions_as_right():
    similar = torch.tensor([[0.1, 0.9], [0.2, 0.8]])
    assert recall(similar, torch.eye(2).bool())['R@1'] == 50.0
    assert recall(similar, torch.ones(2, 2).bool())['R@1'] == 100.0


def test_held_out_crops_repeat():
    images, texts = held_out_crops(2)
    again, same = held_out_crops(2)
    assert torch.equal(images, again) and texts == same and images.shape == (2, 3, 96, 128)


def test_a_patch_is_named_by_the_most_similar_class():
    dense = F.normalize(torch.tensor([[[[1.0, 0.1]], [[0.2, 1.0]]]]), dim=1)  # (1, 2, 1, 2)
    named = name_patches(dense, torch.eye(2), (2, 4))
    assert named.tolist() == [[[0, 0, 1, 1], [0, 0, 1, 1]]]


def test_chance_of_random_indexes_is_met_by_random_indexes():
    import numpy as np

    from rein_seg.evaluation.domain_iou import area_scores, count_areas

    rng = np.random.default_rng(0)
    label = rng.choice(3, p=(0.7, 0.2, 0.1), size=(300, 300))
    areas = count_areas(rng.integers(3, size=label.shape), label, 3)
    assert area_scores(areas, 'abc')['mIoU'] == pytest.approx(chance(areas[2]), abs=0.3)


@pytest.mark.parametrize('name', ['steps', 'pictures', 'windows', 'phrases', 'save_every'])
def test_bad_settings_are_named(name):
    with pytest.raises(UserError, match=f'{name}=0: expected 1 or more'):
        chosen('smoke', **{name: 0})
    with pytest.raises(UserError, match="budget='tiny'"):
        chosen('tiny')
    assert BUDGETS['small'].steps * 5 == BUDGETS['full'].steps


@pytest.mark.parametrize('settings', [CaptionSettings, PretrainSettings])
@pytest.mark.parametrize(
    'wrong', [dict(seed=-1), dict(lr=0.0), dict(lr=-1.0), dict(lr=float('nan'))]
)
def test_seed_and_rate_of_a_run_are_checked(settings, wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f'{name}=.*: expected .* change it'):
        settings(steps=1, **wrong)


def test_a_negative_number_of_processes_is_named():
    with pytest.raises(UserError, match='workers=-1: expected 0'):
        device_and_workers('cpu', -1)
