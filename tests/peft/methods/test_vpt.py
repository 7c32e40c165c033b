"""VPT alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import VPT
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', **cfg):
    peft = dict(type='VPT', **{'num_tokens': 4, **cfg.pop('peft', {})})
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft, **cfg))


def image(seed=1):
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def count(model):
    return sum(p.numel() for p in model.peft.parameters())


def test_sizes():
    assert count(backbone()) == 3 * 4 * 32
    assert count(backbone(peft=dict(form='shallow'))) == 4 * 32
    assert count(backbone(peft=dict(project_dims=8))) == 3 * 4 * 8 + 8 * 32 + 32
    assert count(backbone('swin')) == 2 * 4 * 16 + 2 * 4 * 32
    assert count(backbone('swin', peft=dict(form='shallow'))) == 4 * 16
    assert 24 * VPT().num_tokens * 1024 == 3_686_400


def test_start_is_uniform_within_its_bound():
    prompts = backbone(peft=dict(num_tokens=500)).peft.prompts[0]
    bound = (6 / (3 * 8**2 + 32)) ** 0.5
    assert prompts.abs().max() <= bound
    assert prompts.abs().max() > 0.99 * bound


@pytest.mark.parametrize('family', ['convnext', 'resnet'])
def test_convolutions_are_refused(family):
    with pytest.raises(UserError, match=f"the '{family}' encoder has no place for them"):
        backbone(family)


@pytest.mark.parametrize('family', ['vit', 'sam', 'swin'])
def test_shallow_prompts_pass_from_block_to_block(family):
    """Without them in the later blocks, the last map would be another one."""
    model = backbone(family, peft=dict(form='shallow')).eval()
    whole = model(image()).maps[-1]
    assert model.anatomy.state.carried is None
    model.peft.next_prompts = lambda x, context: torch.zeros(2, 0, x.shape[-1])
    model.peft.detach()
    model.peft.attach(model.encoder, model.anatomy)
    assert (model(image()).maps[-1] - whole).abs().max() > 1e-3


@pytest.mark.parametrize('family', ['dinov2', 'sam', 'swin'])
def test_two_passes_before_the_backward_pass_with_checkpointing(family):
    """The second pass of a checkpointed block gets the prompts of its own image."""
    grads = []
    for saving in (False, True):
        torch.manual_seed(0)
        model = backbone(family, peft=dict(form='shallow'), activation_checkpointing=saving)
        first, second = (model(image(seed)).maps[-1] for seed in (1, 2))
        weights = torch.linspace(-1, 1, first.numel()).reshape(first.shape)
        (first * weights + second * weights.flip(0)).sum().backward()
        assert model.anatomy.state.carried is None
        assert model.anatomy.state.num_prompts == 0
        grads.append(model.peft.prompts[0].grad)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


def test_a_pass_that_failed_leaves_nothing_behind():
    model = backbone().eval()
    expected = model(image()).maps[-1]
    broken = model.encoder.layers[1].ffn.register_forward_hook(lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(image())
    broken.remove()
    assert torch.equal(model(image()).maps[-1], expected)


def test_dropout_acts_in_training_only():
    model = backbone(peft=dict(dropout=0.5))
    assert not torch.equal(model(image()).maps[-1], model(image()).maps[-1])
    model.eval()
    assert torch.equal(model(image()).maps[-1], model(image()).maps[-1])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(num_tokens=0), 'num_tokens=0'),
        (dict(form='wide'), "form='wide': expected deep or shallow"),
        (dict(project_dims=0), 'project_dims=0'),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        VPT(**change)
