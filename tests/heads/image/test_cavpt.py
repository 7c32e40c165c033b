"""The head of dual-modality prompts: logits, the two parts of a training, bad configs."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads.image import CAVPTHead
from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS

LABELS = torch.tensor([2, 0])


@pytest.fixture
def features():
    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    generator = torch.Generator().manual_seed(0)
    image, plain = ((draw(2, 8), draw(2, 8, 1, 1)) for _ in range(2))
    text, fixed = draw(3, 8), F.normalize(draw(3, 8))
    first = Features(maps=(), joint=plain)
    return Features(maps=(), joint=image, text=text, fixed_text=fixed, first=first)


@pytest.fixture
def training(monkeypatch):
    """Sets the iteration of a training of 8."""
    hub = MessageHub.get_instance('test of CAVPTHead')
    monkeypatch.setattr(MessageHub, 'get_current_instance', lambda: hub)

    def at(iteration):
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', 8)

    yield at
    hub.runtime_info.clear()


def cosine(image, text):
    return 10 * F.cosine_similarity(image[:, None], text[None], dim=-1)


def test_three_sets_of_logits(features):
    head = CAVPTHead(3, scale=10.0)
    found = head(features)
    image, plain = features.joint[0], features.first.joint[0]
    assert torch.allclose(found.tuned, cosine(image, features.text), atol=1e-5)
    assert torch.allclose(found.plain_image, cosine(plain, features.text), atol=1e-5)
    assert torch.allclose(found.fixed_text, cosine(image, features.fixed_text), atol=1e-5)
    assert torch.equal(head.predict(features), found.tuned)


def test_guides_end_with_their_part_of_the_training(features, training):
    head = CAVPTHead(3, scale=10.0, guided_part=0.5, guidance_weight=0.25)
    logits = head(features)
    last = F.cross_entropy(logits.tuned, LABELS)
    guided = {
        'loss_plain_image': F.cross_entropy(logits.plain_image, LABELS),
        'loss_fixed_text': F.cross_entropy(logits.fixed_text, LABELS),
        'loss_ce': 0.25 * last,
    }
    assert head.loss(features, LABELS) == guided
    for iteration, expected in ((0, guided), (3, guided), (4, {'loss_ce': last})):
        training(iteration)
        assert head.loss(features, LABELS) == expected, iteration


@pytest.mark.parametrize(('part', 'guided'), [(0.0, False), (1.0, True)])
def test_a_training_without_guides_and_with_guides_alone(features, training, part, guided):
    training(7)
    losses = CAVPTHead(3, guided_part=part).loss(features, LABELS)
    assert ('loss_plain_image' in losses) == guided


def test_the_scale_of_the_text_tower_unless_it_is_given():
    assert CAVPTHead(3).scale == 100
    assert CAVPTHead(3, text_scale=14.0).scale == 14
    assert CAVPTHead(3, text_scale=14.0, scale=5.0).scale == 5


def test_a_method_that_does_not_look_first_is_refused():
    text = dict(type='ClassTable', classes=['road', 'sky'], init_seed=0)
    cfg = dict(
        type='PEFTImageModel',
        backbone=dict(
            type='PEFTBackbone', encoder=ENCODERS['clip_joint'], peft=dict(type='Frozen')
        ),
        text=text,
        head=dict(type='CAVPTHead'),
        num_classes=2,
    )
    with pytest.raises(UserError, match='which Frozen does not compute: expected a method'):
        MODELS.build(cfg)
