"""The final norm of plain vision transformers: kept, applied to each map, read from files."""

import pytest
import torch
from torch import nn

from rein_seg.encoders import build_encoder, convert_weights, find_anatomy
from rein_seg.encoders.timm.model import build_timm
from rein_seg.encoders.timm.weights import timm_weights
from rein_seg.errors import UserError
from rein_seg.structures import NormSite
from tests.encoders.timm.official import DINOV3, EVA02, SIGLIP, official_dinov3, randomised
from tests.encoders.tiny import ENCODERS, image

OURS = ['dinov2_registers', 'vit_tiny', 'tiny_clip', 'vit_setr', 'vit_setr_mla']
OURS += ['clip_tower', 'clip_joint', 'dinov3', 'eva02', 'beit', 'aimv2']
OWN_CLASS = ['vit', 'dinov2', 'clip']  # mmpretrain's, which norms its last block alone


def pair(family, **change):
    """Two encoders with the same values, without and with the final norm, which is not trivial."""
    raw, normed = (
        build_encoder({**ENCODERS[family], 'final_norm': keep, **change})[0]
        for keep in (False, True)
    )
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for param in normed.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.2)
    raw.load_state_dict({k: v for k, v in normed.state_dict().items() if k in raw.state_dict()})
    return raw, normed


def apply(norm, x):
    """Returns the normed (B, C, H, W) map."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize('family', OURS)
def test_each_map_is_the_norm_of_the_raw_map(family):
    raw, normed = pair(family)
    anatomy, bare = find_anatomy(normed), find_anatomy(raw)
    assert (bare.final_norm, bare.norms_maps, anatomy.norms_maps) == (None, False, True)
    norm = anatomy.final_norm
    with torch.no_grad():
        before, after = raw(image()), normed(image())
        assert len(after) == len(before) == len(anatomy.out_taps) == 2
        for x, y in zip(before, after, strict=True):
            torch.testing.assert_close(y, apply(norm, x), rtol=1e-5, atol=1e-5)
            assert not torch.allclose(x, y, atol=1e-2)
    (site,) = [s for s in anatomy.find(NormSite) if s.role == 'final']
    assert (site.channels, site.module) == (anatomy.out_channels[0], norm)
    assert normed.get_submodule(site.name) is norm


@pytest.mark.parametrize('family', OWN_CLASS)
def test_mmpretrain_s_own_class_norms_its_last_block_alone(family):
    raw, normed = pair(family)
    assert not find_anatomy(normed).norms_maps
    raw, normed = pair(family, out_indices=[2])
    anatomy = find_anatomy(normed)
    assert anatomy.norms_maps
    with torch.no_grad():
        ((x,), (y,)) = raw(image()), normed(image())
        torch.testing.assert_close(y, apply(anatomy.final_norm, x), rtol=1e-5, atol=1e-5)


def test_a_norm_in_front_of_the_last_block_is_a_site_too():
    """TimmEncoder and our own ViT norm earlier blocks, too, and do not run the blocks behind."""
    for family in ('dinov3', 'dinov2_registers'):
        raw, normed = pair(family, out_indices=[0])
        anatomy = find_anatomy(normed)
        with torch.no_grad():
            ((x,), (y,)) = raw(image()), normed(image())
        torch.testing.assert_close(y, apply(anatomy.final_norm, x), rtol=1e-5, atol=1e-5)
        names = {site.name for site in anatomy.find(NormSite)}
        assert not [name for name in names if 'blocks.1' in name or 'layers.1' in name]


def test_models_of_timm_without_a_final_norm_are_refused():
    with pytest.raises(UserError, match="timm model 'vit_pe_spatial.*has none: expected a model"):
        build_encoder({**ENCODERS['pe_spatial'], 'final_norm': True})
    with pytest.raises(UserError, match="encoder.final_norm='no': expected True or False"):
        build_encoder({**ENCODERS['dinov3'], 'final_norm': 'no'})
    with pytest.raises(UserError, match="encoder.final_norm='no': expected True or False"):
        build_encoder({**ENCODERS['vit_tiny'], 'final_norm': 'no'})


@pytest.mark.parametrize('cfg', [DINOV3, SIGLIP], ids=['dinov3', 'siglip'])
def test_timm_computes_the_same_from_official_files(cfg):
    sizes = {k: cfg[k] for k in ('img_size', 'patch_size') if k in cfg}
    model = build_timm(cfg['model'], {**cfg['model_args'], **sizes}, final_norm=True).eval()
    bare = randomised(cfg)
    state = {**bare.state_dict()}
    state['norm.weight'], state['norm.bias'] = torch.randn(16), torch.randn(16)
    model.load_state_dict(state)
    official = official_dinov3(bare) if cfg is DINOV3 else dict(state)
    official |= {key: state[key] for key in ('norm.weight', 'norm.bias')}
    encoder, _ = build_encoder({**cfg, 'final_norm': True})
    done = timm_weights(encoder, official)
    assert set(done.tensors) == set(encoder.state_dict())
    assert not [name for name in done.left_out if name.startswith('norm.')]
    encoder.load_state_dict(done.tensors)
    with torch.no_grad():
        expected = model.forward_intermediates(
            image(), indices=[0, 1], norm=True, intermediates_only=True
        )
        for x, y in zip(encoder(image()), expected, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def eva02_file(**further):
    """Official names of EVA02's pretraining: with a mask token timm moves the norm elsewhere."""
    names = {'fc1_g': 'w1', 'fc1_x': 'w2', 'fc2': 'w3', 'mlp.norm': 'mlp.ffn_ln'}
    names |= {'q_proj.bias': 'q_bias', 'v_proj.bias': 'v_bias'}
    state = {}
    for name, value in randomised(EVA02).state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = value
    return {**state, **further}


@pytest.mark.parametrize('prefix', ['', 'visual.'])
def test_the_norm_of_a_pretraining_with_masks_stays_the_final_norm(prefix):
    norm = {'norm.weight': torch.randn(16), 'norm.bias': torch.randn(16)}
    state = eva02_file(**norm, mask_token=torch.ones(1, 1, 16))
    encoder, _ = build_encoder({**EVA02, 'final_norm': True})
    done = timm_weights(encoder, {prefix + name: value for name, value in state.items()})
    assert set(done.tensors) == set(encoder.state_dict())
    for name, value in norm.items():
        assert torch.equal(done.tensors[f'model.{name}'], value)


def test_files_without_a_final_norm_are_refused_in_words():
    encoder, _ = build_encoder({**EVA02, 'final_norm': True})
    with pytest.raises(UserError, match='has no final norm .norm.weight, norm.bias., which'):
        timm_weights(encoder, eva02_file())
    classifier = {f'fc_norm.{leaf}': torch.ones(16) for leaf in ('weight', 'bias')}
    with pytest.raises(UserError, match='only the norm of a classifier .fc_norm.: give the file'):
        timm_weights(encoder, eva02_file(**classifier))


@pytest.mark.parametrize('joint_dims', [None, 8])
@pytest.mark.parametrize('names', ['official', 'own'])
def test_clip_s_tower_reads_ln_post(names, joint_dims):
    cfg = {**ENCODERS['clip_tower'], 'joint_dims': joint_dims, 'final_norm': True}
    encoder, _ = build_encoder(cfg)
    other, _ = build_encoder({**cfg, 'joint_dims': 8, 'final_norm': False})
    post = {f'ln_post.{leaf}': torch.randn(16) for leaf in ('weight', 'bias')}
    place = 'joint.' if names == 'own' else ''
    state = {name: x for name, x in other.state_dict().items() if 'ln_post' not in name}
    if names == 'official':
        state['proj'] = state.pop('joint.proj')
    state |= {place + name: value for name, value in post.items()}
    done = convert_weights(encoder, state)
    assert set(done.tensors) == set(encoder.state_dict())
    for leaf in ('weight', 'bias'):
        assert torch.equal(done.tensors[f'ln1.{leaf}'], post[f'ln_post.{leaf}'])
        if joint_dims:
            assert torch.equal(done.tensors[f'joint.ln_post.{leaf}'], post[f'ln_post.{leaf}'])
    assert isinstance(find_anatomy(encoder).final_norm, nn.LayerNorm)
    bare = {name: value for name, value in state.items() if 'ln_post' not in name}
    with pytest.raises(UserError, match='has no final norm .ln_post or joint.ln_post'):
        convert_weights(encoder, bare)


def test_setr_s_tower_reads_the_norm_of_a_vision_transformer():
    encoder, _ = build_encoder({**ENCODERS['vit_setr'], 'final_norm': True})
    plain, _ = build_encoder(ENCODERS['vit_setr'])
    norm = {'norm.weight': torch.randn(16), 'norm.bias': torch.randn(16)}
    done = convert_weights(encoder, {**plain.state_dict(), **norm})
    assert set(done.tensors) == set(encoder.state_dict())
    assert torch.equal(done.tensors['ln1.weight'], norm['norm.weight'])
    kept = convert_weights(plain, {**plain.state_dict(), **norm})
    assert {'norm.weight', 'norm.bias'} <= set(kept.left_out)
