"""A generator against a critic: the losses by hand, who gets which gradient, who holds what."""

import re

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from rein_seg.engine.adversarial_optim import AdversarialOptimConstructor
from rein_seg.errors import UserError
from rein_seg.models.base import count_parameters
from rein_seg.models.critic import Critic, gradient_penalty
from tests.models.adversarial import OPTIM, TINY, build
from tests.models.tiny import samples


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def with_critic(**options):
    model = build(**options)
    return model, AdversarialOptimConstructor(OPTIM)(model)


def batch():
    generator = torch.Generator().manual_seed(1)
    images = [torch.randint(256, (3, 32, 64), generator=generator).float() for _ in range(2)]
    torch.manual_seed(2)
    return dict(inputs=images, data_samples=samples(2, 32, 64))


# ---- the penalty


def test_a_linear_critic_has_the_penalty_of_its_slope_exactly():
    weight = nn.Parameter(torch.randn(3, 4, 5))
    real, fake = torch.randn(2, 6, 3, 4, 5)
    penalty = gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), real, fake, torch.rand(6))
    expected = (weight.norm() - 1) ** 2
    torch.testing.assert_close(penalty, expected)
    slope = torch.autograd.grad(penalty, weight)[0]
    torch.testing.assert_close(slope, torch.autograd.grad(expected, weight)[0])


def test_the_penalty_is_taken_between_both_images():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    real, fake = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    gradient_penalty(critic, real, fake, torch.tensor([0.25, 1.0]))
    assert seen[0].flatten().tolist() == [0.25, 1.0]


def test_the_penalty_reaches_every_weight_of_the_critic_on_a_cpu():
    critic = Critic(TINY)
    images = torch.randn(2, 2, 3, 32, 64)
    gradient_penalty(critic, *images, torch.rand(2)).backward()
    without = {n for n, p in critic.named_parameters() if p.grad is None or not p.grad.any()}
    # a shift of the score leaves its slope as it is
    assert without == {'score.2.bias'}
    assert all(torch.isfinite(p.grad).all() for p in critic.parameters() if p.grad is not None)


def test_a_critic_without_its_class_token_is_refused():
    with pytest.raises(UserError, match="out_type='featmap': the critic reads the class token"):
        Critic({**TINY, 'out_type': 'featmap'})


@pytest.mark.parametrize(
    'encoder',
    [
        dict(type='ResNetV2', init_seed=0),
        {**TINY, 'type': 'mmpretrain.VisionTransformer', 'with_cls_token': False},
        dict(type='SETRViT', arch=TINY['arch'], img_size=32, drop_class_token=True, init_seed=0),
    ],
)
def test_an_encoder_without_a_class_token_is_refused(encoder):
    told = f'encoder.type={encoder["type"]!r} has no class token here, which the critic reads'
    with pytest.raises(UserError, match=re.escape(told)):
        Critic(encoder)


def test_an_encoder_without_a_final_norm_scores():
    critic = Critic(
        dict(type='SETRViT', arch=TINY['arch'], img_size=32, init_seed=0, final_norm=False)
    )
    assert critic(torch.randn(2, 3, 32, 32)).shape == (2,)


# ---- the images


def test_class_aware_images_are_dark_at_the_background_and_at_ignored_pixels():
    model = build(background=2)
    labels = torch.tensor([[[0, 2], [255, 1]]])
    assert model.real(labels).tolist() == [[[1.0, 0.0], [0.0, 1.0]]]
    images = torch.randn(2, 3, 32, 64)
    labels = torch.randint(4, (2, 32, 64))
    labels[:, :4] = 255
    found = model.fake(model.extract_feat(images), labels)
    expected = 1 - model.encode_decode(images).softmax(1)[:, 2]
    torch.testing.assert_close(found[:, 4:], expected[:, 4:])
    assert not found[:, :4].any()


@pytest.mark.parametrize('background', [0, 1])
def test_one_channel_is_the_probability_of_class_1(background):
    head = dict(
        type='LinearHead', out_channels=1, dropout_ratio=0.0, loss_decode=dict(type='StructureLoss')
    )
    model = build(num_classes=2, decode_head=head, background=background)
    images, labels = torch.randn(1, 3, 32, 64), torch.zeros(1, 32, 64).long()
    found = model.fake(model.extract_feat(images), labels)
    of_class_1 = model.encode_decode(images).sigmoid()[:, 0]
    torch.testing.assert_close(found, 1 - of_class_1 if background else of_class_1)


# ---- the steps


class Look(OptimWrapper):
    """Notes the gradients of all parts in front of each update."""

    def __init__(self, model, inner, seen):
        self.model, self.inner, self.seen = model, inner, seen

    def update_params(self, loss):
        loss.backward(retain_graph=True)
        params = dict(self.model.named_parameters())
        found = {n for n, p in params.items() if p.grad is not None and p.grad.any()}
        self.seen.append({n.partition('.')[0] for n in found})
        for param in params.values():
            param.grad = None

    def optim_context(self, model):
        return self.inner.optim_context(model)


def test_each_step_gives_gradients_to_its_own_part_alone():
    model, wrapper = with_critic()
    seen = []
    looks = {name: Look(model, one, seen) for name, one in wrapper.items()}
    model.train_step(batch(), looks)
    assert seen == [{'critic'}, {'backbone', 'decode_head'}]
    assert all(p.requires_grad for p in model.critic.parameters())


def test_the_losses_by_hand():
    model, _ = with_critic(adversarial_weight=0.3, penalty_weight=5.0)
    real, fake = torch.randn(2, 2, 3, 32, 64)
    torch.manual_seed(7)
    losses = model.critic_losses(real, fake)
    torch.manual_seed(7)
    penalty = gradient_penalty(model.critic, real, fake, torch.rand(2))
    torch.testing.assert_close(losses['critic.loss_penalty'], 5.0 * penalty)
    distance = model.critic(fake).mean() - model.critic(real).mean()
    torch.testing.assert_close(losses['critic.loss_distance'], distance)
    step = model.train_step(batch(), dict(zip(('generator', 'critic'), [Still()] * 2, strict=True)))
    data = model.data_preprocessor(batch(), True)
    plain = model.loss(**data)
    assert step['decode.loss_ce'].item() == pytest.approx(plain['decode.loss_ce'].item())
    labels = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']])
    features = model.extract_feat(data['inputs'])
    image = model.class_aware(data['inputs'], model.fake(features, labels))
    assert step['loss_adversarial'].item() == pytest.approx(
        -0.3 * model.critic(image).mean().item()
    )
    total = step['decode.loss_ce'] + step['loss_adversarial']
    assert step['loss'].item() == pytest.approx(total.item())
    parts = step['critic.loss_distance'] + step['critic.loss_penalty']
    assert step['loss_critic'].item() == pytest.approx(parts.item())


class Still(OptimWrapper):
    """Updates nothing."""

    def __init__(self):
        pass

    def update_params(self, loss):
        pass


def test_both_parts_move_and_the_same_seed_moves_them_alike():
    ends = []
    for _ in range(2):
        torch.manual_seed(0)
        model, wrapper = with_critic()
        before = {n: p.clone() for n, p in model.named_parameters()}
        torch.manual_seed(3)
        for _ in range(2):
            model.train_step(batch(), wrapper)
        after = dict(model.named_parameters())
        still = {n for n in before if torch.equal(before[n], after[n])}
        assert still <= {'critic.score.2.bias'}
        ends.append({n: p.detach() for n, p in after.items()})
    assert all(torch.equal(ends[0][n], ends[1][n]) for n in ends[0])


def test_checkpointed_blocks_give_the_same_step():
    losses = []
    for saving in (False, True):
        torch.manual_seed(0)
        backbone = dict(
            type='PEFTBackbone',
            encoder=TINY,
            peft=dict(type='Full'),
            activation_checkpointing=saving,
        )
        model, wrapper = with_critic(backbone=backbone)
        torch.manual_seed(3)
        losses.append([model.train_step(batch(), wrapper)['loss'].item() for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


# ---- the critic's place


def test_a_model_that_only_predicts_has_no_critic():
    model = build().eval()
    assert model.critic is None and not [n for n in model.state_dict() if 'critic' in n]
    with torch.no_grad():
        found = model.predict(torch.randn(1, 3, 32, 64))
    assert found[0].pred_sem_seg.shape == (32, 64)


def test_adapters_and_counts_leave_the_critic_out_and_checkpoints_keep_it():
    plain = build()
    model, _ = with_critic()
    assert model.adapter_state().keys() == plain.state_dict().keys()
    assert count_parameters(model) == count_parameters(plain)
    own = {n for n in model.state_dict() if n.startswith('critic.')}
    assert len(own) == len(model.critic.state_dict()) > 0
    assert plain.fit_state(model.state_dict()).keys() == plain.state_dict().keys()
    assert model.fit_state(model.state_dict()).keys() == model.state_dict().keys()
    from_generator = model.fit_state(plain.state_dict())
    assert from_generator.keys() == model.state_dict().keys()


def test_a_background_that_is_no_class_is_refused():
    with pytest.raises(
        UserError, match='model.background=4: expected the index of a class, 0 to 3'
    ):
        build(background=4)


def test_a_model_without_a_critic_is_refused():
    with pytest.raises(UserError, match='model.critic=None: expected a config.*PEFTSegmentor'):
        build(critic=None)


def test_several_steps_of_one_optimizer_a_batch_are_refused():
    with pytest.raises(UserError, match="multi_scale='each' takes several steps of one optimizer"):
        build(multi_scale='each')


def test_a_whole_batch_of_ignored_pixels_leaves_finite_losses():
    model, wrapper = with_critic()
    data = batch()
    data['data_samples'] = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 32, 64), 255)), metainfo={})
        for _ in range(2)
    ]
    step = model.train_step(data, wrapper)
    assert all(torch.isfinite(value).all() for value in step.values())
