"""VPT alone."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import VPT
from rein_seg.peft.methods.vpt import from_official
from rein_seg.registry import describe_method
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


def joint(model):
    with torch.no_grad():
        return model(image()).joint


@pytest.mark.parametrize(
    ('blocks', 'rows', 'changed'),
    [
        ('first 1', 1, (True, True, True)),
        ('last 2', 2, (False, True, True)),
        ([1], 1, (False, True, True)),
        ([-1], 1, (False, False, True)),
        (None, 3, (True, True, True)),
    ],
)
def test_prompts_stand_in_the_chosen_blocks_alone(blocks, rows, changed):
    model, plain = backbone(peft=dict(blocks=blocks)).eval(), backbone().eval()
    plain.peft.detach()
    assert model.peft.prompts[0].shape == (rows, 4, 32)
    pairs = zip(model(image()).maps, plain(image()).maps, strict=True)
    assert tuple(not torch.equal(a, b) for a, b in pairs) == changed


def test_blocks_of_a_later_stage_alone():
    model, plain = backbone('swin', peft=dict(blocks='last 1')).eval(), backbone('swin').eval()
    plain.peft.detach()
    assert [tuple(p.shape) for p in model.peft.prompts] == [(1, 4, 32)]
    first, last = zip(model(image()).maps, plain(image()).maps, strict=True)
    assert torch.equal(*first)
    assert not torch.equal(*last)


def test_shallow_prompts_travel_through_the_chosen_blocks():
    model = backbone(peft=dict(form='shallow', blocks='last 2')).eval()
    assert model.peft.prompts[0].shape == (1, 4, 32)
    assert [site.block for site in model.peft.hooked_sites] == [1, 2]
    model(image())
    assert model.anatomy.state.carried is None
    with pytest.raises(UserError, match=r'blocks=\[0, 2\] skips a block.*form="deep"'):
        backbone(peft=dict(form='shallow', blocks=[0, 2]))


@pytest.mark.parametrize(
    ('blocks', 'message'),
    [
        ('first 4', "blocks='first 4': the 'vit' encoder has 3 blocks"),
        ([5], 'block 5 does not exist'),
        ('first', "blocks='first': expected a name, such as 'first 3' or 'last 4'"),
        ('last 0', "blocks='last 0'"),
        (2, 'blocks=2'),
    ],
)
def test_blocks_that_are_not_there(blocks, message):
    with pytest.raises(UserError, match=message):
        backbone(peft=dict(blocks=blocks))


@pytest.mark.parametrize('family', ['clip_joint', 'tiny_clip'])
def test_post_norm_norms_every_token_of_the_joint_embedding_alone(family):
    model = backbone(family, peft=dict(post_norm=True)).eval()
    plain = backbone(family).eval()
    plain.peft.load_state_dict(model.peft.state_dict(), strict=False)
    assert model.peft.norm.eps == 1e-6
    assert count(model) - count(plain) == 2 * model.peft.norm.weight.numel()
    torch.nn.init.normal_(model.peft.norm.weight)
    torch.nn.init.normal_(model.peft.norm.bias)
    assert torch.equal(model(image()).maps[-1], plain(image()).maps[-1])
    entered = []
    plain.anatomy.joint.register_forward_pre_hook(lambda m, args: entered.append(args))
    before = joint(plain)
    tokens, *rest = entered[0]
    expected = plain.anatomy.joint(model.peft.norm(tokens), *rest)
    for found, wanted, old in zip(joint(model), expected, before, strict=True):
        torch.testing.assert_close(found, wanted)
        assert (found - old).abs().max() > 1e-2


def test_post_norm_needs_a_joint_embedding():
    with pytest.raises(UserError, match=r"post_norm=True.*'vit' encoder has no such.*joint_dims"):
        backbone(peft=dict(post_norm=True))


def test_new_arguments_do_not_part_old_adapters_from_their_method():
    old = dict(type='VPT', num_tokens=4, form='deep', project_dims=None, dropout=0.0)
    new = dict(type='VPT', num_tokens=4, blocks=None, post_norm=False)
    assert describe_method(old) == describe_method(new)


def test_official_files_of_the_last_blocks_have_no_first_set():
    state = {'deep_prompt_embeddings': torch.ones(4, 3, 8), 'prompt_norm.weight': torch.ones(8)}
    own = from_official(state)
    assert own['prompts.0'].shape == (4, 3, 8)
    assert torch.equal(own['norm.weight'], torch.ones(8))
    shallow = {'prompt_embeddings': torch.ones(1, 3, 8), 'prompt_norm.weight': torch.ones(8)}
    assert set(from_official(shallow)) == {'prompts.0'}
