"""Official files into timm's models: the same output as timm's, sizes, what is left out."""

import pytest
import torch
from safetensors.torch import save

from rein_seg.checkpoint import tensors_sha256
from rein_seg.encoders import build_encoder, fetch_weights
from rein_seg.encoders.resampling import resize_patch_kernel, resize_positions
from rein_seg.encoders.timm.weights import timm_weights
from rein_seg.errors import UserError
from tests.download.server import Answer
from tests.encoders.files import from_file
from tests.encoders.timm.official import (
    DINOV3,
    EVA02,
    SIGLIP,
    official_dinov3,
    randomised,
    saved,
    timm_maps,
)
from tests.encoders.tiny import image


def test_dinov3_from_meta_file_computes_what_timm_computes(tmp_path):
    model = randomised(DINOV3)
    path = saved(official_dinov3(model), tmp_path / 'dinov3.safetensors')
    encoder, info = from_file(DINOV3, path)
    assert info.weights.startswith('sha256:')
    with torch.no_grad():
        for size in ((32, 48), (64, 32)):
            maps = encoder(image(*size))
            assert maps[0].shape == (2, 16, size[0] // 8, size[1] // 8)
            for x, y in zip(maps, timm_maps(model, image(*size)), strict=True):
                torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)
    left_out = timm_weights(encoder, official_dinov3(model)).left_out
    assert set(left_out) == {
        *('blocks.*.attn.qkv.bias_mask', 'mask_token', 'norm.bias', 'norm.weight'),
        'rope_embed.periods',
    }


def test_plain_dinov3_name_refuses_a_bias_it_would_lose(tmp_path):
    plain = {**DINOV3, 'model': 'vit_small_patch16_dinov3'}
    state = official_dinov3(randomised(DINOV3))
    with pytest.raises(UserError, match='cannot hold: use the model whose name has _qkvb'):
        from_file(plain, saved(state, tmp_path / 'a.safetensors'))
    zero = {k: 0 * v if k.endswith('qkv.bias') else v for k, v in state.items()}
    from_file(plain, saved(zero, tmp_path / 'b.safetensors'))


def test_teacher_of_a_dinov3_training_run_is_taken_without_its_heads(tmp_path):
    state = official_dinov3(randomised(DINOV3))
    heads = {f'{name}.mlp.0.weight': torch.ones(2, 2) for name in ('dino_head', 'ibot_head')}
    wrapped = {**{f'backbone.{k}': v for k, v in state.items()}, **heads}
    torch.save({'teacher': wrapped}, tmp_path / 'teacher.pth')
    encoder, _ = from_file(DINOV3, tmp_path / 'teacher.pth')
    plain, _ = from_file(DINOV3, saved(state, tmp_path / 'plain.safetensors'))
    for name, value in plain.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value), name
    assert 'dino_head.mlp.*.weight' in timm_weights(encoder, wrapped).left_out


@pytest.mark.parametrize('cfg', [SIGLIP, EVA02], ids=['siglip', 'eva02'])
def test_timm_own_file_computes_what_timm_computes(cfg, tmp_path):
    model = randomised(cfg)
    encoder, info = from_file(cfg, saved(model.state_dict(), tmp_path / 'timm.safetensors'))
    own, _ = from_file(cfg, saved(encoder.state_dict(), tmp_path / 'own.safetensors'))
    with torch.no_grad():
        for built in (encoder, own):
            for x, y in zip(built(image()), timm_maps(model, image()), strict=True):
                torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)
    assert info.mean == encoder.image_mean


def official_eva02(patch, side):
    """Names of the EVA02 release, at another patch size and grid, with the parts we leave out."""
    state = randomised(EVA02).state_dict()
    names = {
        'fc1_g': 'w1',
        'fc1_x': 'w2',
        'fc2': 'w3',
        'mlp.norm': 'mlp.ffn_ln',
        'q_proj.bias': 'q_bias',
        'v_proj.bias': 'v_bias',
    }
    official = {}
    for name, value in state.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        official[name] = value
    official['patch_embed.proj.weight'] = torch.randn(16, 3, patch, patch)
    official['pos_embed'] = torch.randn(1, 1 + side * side, 16)
    for name in ('rope.freqs_cos', 'blocks.0.attn.rope.freqs_sin'):
        official[name] = torch.zeros(4, 4)
    for name in ('norm.weight', 'fc_norm.bias', 'head.weight', 'lm_head.bias', 'mask_token'):
        official[name] = torch.ones(16)
    return official


@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.'])
def test_eva02_release_is_resized_as_rein_does(prefix):
    encoder, _ = build_encoder(EVA02)
    state = official_eva02(patch=7, side=5)
    done = timm_weights(encoder, {prefix + k: v for k, v in state.items()})
    assert set(done.tensors) == set(encoder.state_dict())
    kernel = resize_patch_kernel(state['patch_embed.proj.weight'], (8, 8))
    positions = resize_positions(state['pos_embed'], (4, 4))
    assert torch.equal(done.tensors['model.patch_embed.proj.weight'], kernel)
    assert torch.equal(done.tensors['model.pos_embed'], positions)
    assert len(done.resampled) == 2
    assert {'rope.freqs_cos', 'blocks.*.attn.rope.freqs_sin', 'mask_token'} < set(done.left_out)
    assert not [name for name in done.left_out if 'proj' in name or 'mlp' in name]


@pytest.mark.parametrize('wrapper', ['model', 'module'])
def test_eva02_release_is_unwrapped(wrapper, tmp_path):
    torch.save({wrapper: official_eva02(patch=7, side=5)}, tmp_path / 'eva02.pt')
    _, info = from_file(EVA02, tmp_path / 'eva02.pt')
    assert info.weights.startswith('sha256:')


def test_eva02_text_tower_and_visual_prefix_are_recognised():
    encoder, _ = build_encoder(EVA02)
    state = {f'visual.{k}': v for k, v in official_eva02(patch=8, side=4).items()}
    state |= {'text.token_embedding.weight': torch.ones(3), 'logit_scale': torch.ones(1)}
    done = timm_weights(encoder, state)
    assert set(done.tensors) == set(encoder.state_dict())
    assert {'text.token_embedding.weight', 'logit_scale'} < set(done.left_out)


def test_indices_of_relative_positions_are_left_out_and_weights_of_theirs_are_not(tmp_path):
    encoder, _ = build_encoder(EVA02)
    state = official_eva02(patch=8, side=4)
    names = ('rel_pos_bias.relative_position_index', 'blocks.1.attn.relative_position_index')
    state |= {name: torch.zeros(17, 17, dtype=torch.long) for name in names}
    done = timm_weights(encoder, state)
    assert set(done.tensors) == set(encoder.state_dict())
    assert {names[0], 'blocks.*.attn.relative_position_index'} < set(done.left_out)
    state['blocks.1.attn.relative_position_bias_table'] = torch.zeros(9, 2)
    with pytest.raises(UserError, match='1 unexpected.*relative_position_bias_table'):
        from_file(EVA02, saved(state, tmp_path / 'beit.safetensors'))


@pytest.mark.parametrize('resample', ['timm', 'bicubic'])
def test_as_many_positions_in_another_grid(resample, tmp_path):
    """2 x 8 is as many as 4 x 4: files of the encoder's own are 2 x 8, others are square."""
    cfg = {**EVA02, 'img_size': (16, 64), 'resample': resample}
    encoder, _ = build_encoder({**cfg, 'init_seed': 3})
    own, _ = from_file(cfg, saved(encoder.state_dict(), tmp_path / 'own.safetensors'))
    assert torch.equal(own.model.pos_embed, encoder.model.pos_embed)
    square = official_eva02(patch=8, side=4)
    done = timm_weights(encoder, square)
    expected = resize_positions(square['pos_embed'], (2, 8), antialias=resample == 'timm')
    assert torch.equal(done.tensors['model.pos_embed'], expected)
    assert done.resampled == ('pos_embed (1, 17, 16) -> (1, 17, 16)',)


def test_a_file_of_another_kind_is_an_error_not_a_partial_load(tmp_path):
    path = saved({'layer1.0.conv1.weight': torch.ones(3)}, tmp_path / 'resnet.safetensors')
    with pytest.raises(UserError, match=r'0/\d+ tensors, 1 unexpected'):
        from_file(EVA02, path)


def test_pretrained_goes_through_the_same_strict_loading(server, monkeypatch):
    model, name = randomised(SIGLIP), 'vit_base_patch16_siglip_224.webli'
    path = f'/timm/{name}/resolve/main/'
    server.answers[path + 'model.safetensors'] = Answer(save(model.state_dict()))
    cfg = {**SIGLIP, 'model': name, 'init_seed': None, 'pretrained': True}
    fetch_weights(cfg)
    assert [asked for asked, _ in server.asked] == [path + 'model.safetensors']
    encoder, info = build_encoder(cfg)
    assert len(server.asked) == 1
    assert info.weights == f'sha256:{tensors_sha256(model.state_dict())}'
    assert info.mean == (127.5, 127.5, 127.5)
    with torch.no_grad():
        torch.testing.assert_close(encoder(image())[1], timm_maps(model, image())[1])
    monkeypatch.setenv('REIN_SEG_OFFLINE', '1')
    other = {**cfg, 'model': 'vit_base_patch16_siglip_256.webli'}
    with pytest.raises(UserError, match=r'siglip_256\S*/model.safetensors: REIN_SEG_OFFLINE=1 for'):
        build_encoder(other)
