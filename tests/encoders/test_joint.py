"""The joint embedding of image and text: made by the encoder, handed on by the backbone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, convert_weights, find_anatomy, to_file_layout
from rein_seg.encoders.plain_vit.joint import JointSpace
from rein_seg.errors import UserError
from rein_seg.peft.hooks import HOOKS
from rein_seg.structures import JointSite, NormSite, ParamSite
from tests.encoders.tiny import ENCODERS, image

# the second block is run for the joint embedding alone
TINY = {**ENCODERS['clip_joint'], 'out_indices': [0]}


def build(**change):
    return build_encoder({**TINY, **change})[0]


def backbone(peft='Frozen', *, encoder=TINY, **options):
    peft = dict(type=peft) if isinstance(peft, str) else peft
    cfg = dict(type='PEFTBackbone', encoder=encoder, peft=peft)
    return MODELS.build({**cfg, **options}).eval()


@torch.no_grad()
def test_every_token_is_normed_and_projected():
    torch.manual_seed(0)
    joint = JointSpace(6, dims=4)
    joint.ln_post.weight.uniform_(0.5, 2)
    joint.ln_post.bias.uniform_()
    x = torch.randn(2, 7, 6) * 1e-2  # small: eps shows
    normed = (x - x.mean(-1, keepdim=True)) / (x.var(-1, False, keepdim=True) + 1e-5).sqrt()
    expected = (normed * joint.ln_post.weight + joint.ln_post.bias) @ joint.proj
    pooled, dense = joint(x, (2, 3))
    torch.testing.assert_close(pooled, expected[:, 0])
    torch.testing.assert_close(dense[:, :, 1, 2], expected[:, 6])
    assert dense.shape == (2, 4, 2, 3)


@torch.no_grad()
def test_all_blocks_run_for_it_and_the_maps_stay_raw():
    encoder = build()
    maps = encoder(image())
    features = backbone()(image())
    whole = build(joint_dims=None, out_indices=[0, 1], out_type='raw')
    whole.load_state_dict(encoder.state_dict(), strict=False)
    first, last = whole(image())
    torch.testing.assert_close(maps[0], first[:, 1:].mT.unflatten(2, (4, 6)))
    normed = F.layer_norm(last, (16,), eps=1e-5)
    expected = normed @ encoder.joint.proj
    torch.testing.assert_close(features.joint[0], expected[:, 0])
    torch.testing.assert_close(features.joint[1], expected[:, 1:].mT.unflatten(2, (4, 6)))
    assert len(features.maps) == 1


def test_sites_reach_the_blocks_behind_the_last_map_and_the_projection():
    anatomy = find_anatomy(build())
    assert (anatomy.num_blocks, anatomy.joint_dims, len(anatomy.out_channels)) == (2, 8, 1)
    assert [site.name for site in anatomy.find(NormSite, role='joint')] == ['joint.ln_post']
    params = {site.name: site.role for site in anatomy.find(ParamSite)}
    assert params['joint.ln_post.bias'] == 'norm_bias'
    assert params['joint.proj'] == 'weight'
    plain = find_anatomy(build(joint_dims=None))
    assert (plain.num_blocks, plain.joint, plain.joint_dims) == (1, None, None)
    with pytest.raises(UserError, match='has no JointSite'):
        plain.find(JointSite)


@torch.no_grad()
def test_a_method_can_replace_what_enters_it():
    tower = backbone()
    (site,) = tower.anatomy.find(JointSite)
    before = tower(image())
    hook = HOOKS[JointSite](site, lambda x, context: x.flip(1), tower.anatomy)
    handles = hook.register(site)
    after = tower(image())
    torch.testing.assert_close(after.joint[0], before.joint[1][..., -1, -1])
    torch.testing.assert_close(after.maps, before.maps)
    handles[0].remove()
    torch.testing.assert_close(tower(image()).joint, before.joint)


def test_checkpointing_merging_and_copies_keep_it():
    tower, again = backbone(dict(type='LoRA', rank=2)), None
    torch.manual_seed(0)
    for param in tower.peft.parameters():
        torch.nn.init.normal_(param)
    expected = tower(image()).joint
    expected[1].square().sum().backward()
    again = backbone(dict(type='LoRA', rank=2), activation_checkpointing=True)
    again.load_state_dict(tower.state_dict())
    again(image()).joint[1].square().sum().backward()
    pairs = zip(tower.peft.parameters(), again.peft.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) and a.grad.any() for a, b in pairs)
    copied = copy.deepcopy(tower)
    tower.merge()
    torch.testing.assert_close(tower(image()).joint, expected, rtol=1e-4, atol=1e-5)
    for param in copied.peft.parameters():
        torch.nn.init.zeros_(param)
    torch.testing.assert_close(copied(image()).joint, backbone()(image()).joint)


def test_a_pass_that_fails_leaves_nothing_behind():
    tower = backbone(dict(type='LoRA', rank=2))

    def fail(module, args, output):
        raise RuntimeError('out of memory')

    handle = tower.encoder.register_forward_hook(fail)
    with pytest.raises(RuntimeError):
        tower(image())
    handle.remove()
    assert tower._joint is None
    copy.deepcopy(tower)  # which a tensor of a graph would forbid


def test_a_compiled_backbone_gives_the_same():
    tower = backbone()
    with torch.no_grad():
        expected = tower(image()).joint
        found = torch.compile(tower, backend='eager')(image()).joint
    torch.testing.assert_close(found, expected)


def test_files_without_it_or_of_another_width_are_explained():
    encoder = build()
    state = dict(encoder.state_dict())
    lacking = {name: value for name, value in state.items() if 'ln_post' not in name}
    with pytest.raises(UserError, match=r'no joint.ln_post.weight.*joint_dims=8 needs: .*=None'):
        convert_weights(encoder, lacking)
    with pytest.raises(UserError, match='is 8 wide, .*joint_dims=6: set encoder.joint_dims=8'):
        convert_weights(build(joint_dims=6), state)
    converted = convert_weights(build(joint_dims=None), state)
    assert set(converted.left_out) == {name for name in state if name.startswith('joint.')}
    with pytest.raises(UserError, match='joint_dims=0: expected a whole number, 1 or more'):
        build(joint_dims=0)


@pytest.mark.parametrize('name', ['clip_joint', 'resnet_clip_joint', 'tiny_clip'])
@torch.no_grad()
def test_trained_parts_go_back_into_the_layout_of_the_file(name):
    encoder, _ = build_encoder(ENCODERS[name])
    file = {f'backbone.{k}': v.clone() for k, v in encoder.state_dict().items()}
    last = list(encoder.joint.parameters())[-1]
    last += 1
    text = {} if name == 'tiny_clip' else {'text_encoder.ln_final.bias': torch.ones(3)}
    made = to_file_layout(encoder, {**file, **text})
    (changed,) = made.changed
    assert changed.startswith('backbone.joint.')
    assert torch.equal(made.tensors[changed], last)


def test_parts_of_a_file_of_openai_go_back_under_its_names():
    encoder = build()
    file = {f'joint.{k}': v for k, v in encoder.joint.state_dict().items()}
    own = {k: v.clone() for k, v in encoder.state_dict().items()}
    for name in file:
        own[name.removeprefix('joint.')] = own.pop(name)
    with torch.no_grad():
        encoder.joint.proj.mul_(2)
    made = to_file_layout(encoder, own)
    assert made.changed == ('proj',) and torch.equal(made.tensors['proj'], encoder.joint.proj)


def test_a_tower_with_a_joint_space_has_no_layout_of_mmpretrain():
    with pytest.raises(UserError, match='no joint space, this encoder has joint_dims=8; take the'):
        build(class_embedding_twice=False).as_mmpretrain()


def test_methods_in_a_block_behind_the_last_map_train():
    """Rein's tokens in the last block train on the joint embedding, although no map shows them."""
    tower = backbone(dict(type='Rein', num_tokens=4, rank=2, link_to_queries=False))
    features = tower(image())
    assert features.joint[0].requires_grad and features.joint[1].requires_grad
    features.joint[0].sum().backward()
    assert all(p.grad is not None for p in tower.peft.parameters())
