"""Official checkpoints of PMT: batch norms and decoder; the encoder is the model's."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_checkpoint
from rein_seg.errors import UserError
from rein_seg.models.pmt_file import is_pmt, split_fused
from tests.models import plain_mask_official as sizes
from tests.models.plain_mask_official import (
    DINOV2,
    Draw,
    below,
    pixels,
    pmt_state,
    timm_backbone,
)

LEVELS, BLOCKS = 4, 3


@pytest.fixture(scope='module')
def encoder(tmp_path_factory):
    """A pretrained DINOv2 and the file of its weights."""
    path = tmp_path_factory.mktemp('dinov2') / 'dinov2.pth'
    torch.save(timm_backbone(Draw(seed=5)), path)
    return {k: v for k, v in DINOV2.items() if k != 'init_seed'} | {'checkpoint': str(path)}


def build(encoder, peft='Frozen', **head):
    sized = dict(num_queries=sizes.QUERIES, num_blocks=BLOCKS)
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type=peft)),
            decode_head={'type': 'PMTHead', **sized, **head},
            num_classes=sizes.CLASSES,
        )
    ).eval()


def load(state, model):
    return load_checkpoint({'state_dict': state}, model, source='pmt.bin')


@pytest.mark.parametrize('lateral', ['mlp', 'linear'])
def test_every_tensor_of_a_file_is_loaded(encoder, lateral):
    state, model = pmt_state(lateral=lateral), build(encoder, lateral_projection=lateral)
    assert is_pmt(state)
    report, count = load(state, model), len(model.state_dict())
    assert f'official PMT checkpoint from pmt.bin: {count}/{count} tensors, 0 unexpected' in report
    assert 'does not say which encoder it was trained on: that is not checked' in report
    ours = model.state_dict()
    assert len(ours) == len(state)
    for name, tensor in state.items():
        inner = name.removeprefix('network.').removeprefix('decoder.')
        assert torch.equal(ours[f'decode_head.{inner}'], tensor), name


def test_a_fused_file_gives_the_same_model(encoder):
    apart, fused = build(encoder), build(encoder)
    load(pmt_state(), apart)
    load(pmt_state(fused=True), fused)
    theirs = apart.state_dict()
    assert all(torch.equal(x, theirs[name]) for name, x in fused.state_dict().items())


def test_a_trained_bias_of_fused_keys_is_refused(encoder):
    state = pmt_state(fused=True)
    name = 'network.decoder.blocks.2.attention.qkv_proj.bias'
    state[name][sizes.WIDTH + 3] = 0.1
    with pytest.raises(UserError, match=r'blocks.2.attention.qkv_proj.bias.* bias for keys'):
        load(state, build(encoder))
    assert len(split_fused({'blocks.0.mlp.up_proj.bias': torch.ones(3)}, 'a file')) == 1


@pytest.mark.parametrize('same', [True, False])
def test_an_encoder_in_the_file_must_be_the_models(encoder, same):
    backbone = timm_backbone(Draw(seed=5 if same else 6))
    state = pmt_state() | below('network.', pixels() | below('encoder.backbone.', backbone))
    model = build(encoder)
    if same:
        report = load(state, model)
        assert 'left out: network.encoder.pixel_mean, network.encoder.pixel_std; its 63' in report
        return
    with pytest.raises(UserError, match="the backbone in the file is not the config's"):
        load(state, model)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(peft='LoRA'), 'for a frozen encoder, the config has PMTHead and method LoRA'),
        (dict(num_queries=3), 'num_queries=7, the config gives 3'),
        (dict(num_blocks=2), 'num_blocks=3, the config gives 2'),
        (dict(upscale_channels=16), 'has no linear in front of the upscale blocks: set'),
        (dict(lateral_projection='linear'), 'Missing: decode_head.lateral_projections.0.weight'),
        (dict(in_index=[0, 3]), 'Unexpected: decode_head.bn.2'),
    ],
)
def test_another_model_is_refused_in_words(encoder, options, message):
    with pytest.raises(UserError, match=message):
        load(pmt_state(), build(encoder, **options))


def test_a_random_encoder_is_refused():
    with pytest.raises(UserError, match='has random weights: give the encoder'):
        load(pmt_state(), build(DINOV2))
