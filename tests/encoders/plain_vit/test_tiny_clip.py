"""The image tower of TinyCLIP: its joint space, and files that hold two towers."""

import pytest
import torch
import torch.nn.functional as F

import rein_seg.apis  # noqa: F401
from rein_seg.encoders import build_encoder, convert_weights, find_anatomy
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.text import TextTower
from tests.encoders.tiny import ENCODERS

TINY = ENCODERS['tiny_clip']
IMAGES = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def built(**changes):
    return build_encoder({**TINY, **changes})[0]


def test_the_joint_space_is_the_norm_and_projection_of_the_last_block():
    encoder = built(out_type='raw', out_indices=[1])
    whole, dense = encoder.embed(IMAGES)
    (tokens,) = encoder(IMAGES)
    expected = F.layer_norm(tokens, (16,)) @ encoder.joint.proj
    assert torch.allclose(whole, expected[:, 0])
    assert torch.allclose(dense[1, :, 2, 5], expected[1, 1 + 2 * 6 + 5])
    assert whole.shape == (2, 8) and dense.shape == (2, 8, 4, 6)


def test_a_backbone_hands_the_joint_space_on_although_the_last_output_is_earlier():
    backbone = PEFTBackbone({**TINY, 'out_indices': [0]}, dict(type='Frozen'))
    assert backbone.joint_dims == 8 and backbone.anatomy.num_blocks == 2
    whole, dense = backbone(IMAGES).joint
    expected = built().embed(IMAGES)
    assert torch.equal(whole, expected[0]) and torch.equal(dense, expected[1])


def test_a_method_in_the_last_block_changes_the_joint_space():
    backbone = PEFTBackbone({**TINY, 'out_indices': [0]}, dict(type='LoRA', rank=2))
    before = backbone(IMAGES).joint[1]
    with torch.no_grad():
        for _, param in backbone.peft.trainable_parameters():
            param.add_(0.5)
    assert (backbone(IMAGES).joint[1] - before).abs().mean() > 0.01


def test_other_plain_transformers_have_no_joint_space():
    anatomy = find_anatomy(build_encoder(ENCODERS['vit_tiny'])[0])
    assert anatomy.joint is None and anatomy.joint_dims is None


def test_a_file_with_both_towers_loads_and_names_the_text_tower_as_left_out():
    encoder = built()
    image = {f'visual.{k}': v for k, v in encoder.state_dict().items()}
    text = TextTower(width=8, layers=1, heads=2, dims=8, vocabulary=10).state_dict()
    converted = convert_weights(
        built(init_seed=1), {**image, **text, 'logit_scale': torch.ones(())}
    )
    assert set(converted.left_out) == {*text, 'logit_scale'}
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(converted.tensors[name], tensor), name


@pytest.mark.parametrize('name', ['class_embedding', 'attnpool.c_proj.weight'])
def test_a_file_of_openai_is_named(name):
    with pytest.raises(UserError, match="layout of OpenAI's CLIP, .* use type='CLIPViT' or"):
        convert_weights(built(), {f'visual.{name}': torch.ones(4)})


def test_a_file_without_a_joint_space_is_named():
    state = build_encoder(ENCODERS['vit_tiny'])[0].state_dict()
    with pytest.raises(UserError, match=r'no .*joint\.proj.*encoder.joint_dims=8 needs'):
        convert_weights(built(), state)


@pytest.mark.parametrize('dims', [0, 2.5, 'wide', True])
def test_the_width_of_the_joint_space_is_checked(dims):
    with pytest.raises(UserError, match='encoder.joint_dims'):
        built(joint_dims=dims)
