"""Files of Hugging Face transformers, read as they are: the same patch tokens as that library's."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, convert_weights, to_file_layout
from rein_seg.encoders.clip import encoder_of_file
from rein_seg.errors import UserError
from tests.encoders.files import from_file, load
from tests.encoders.tiny import ENCODERS
from tests.encoders.transformers_models import hidden, model, written

pytest.importorskip('transformers')
DINOV2 = {
    **ENCODERS['dinov2_registers'],
    'num_registers': 0,
    # the rule of transformers for other grids; the authors' is an offset of 0.1
    'interpolate_offset': 0.0,
}
SWIGLU = {**DINOV2, 'arch': {**DINOV2['arch'], 'ffn_type': 'swiglu_fused'}}
TIMM = dict(type='TimmEncoder', img_size=32, patch_size=8, out_indices=[0, 1])
ARGS = dict(embed_dim=16, depth=2, num_heads=2)
ONCE = {**ENCODERS['clip_tower'], 'class_embedding_twice': False}
DINOV3 = {**ENCODERS['dinov3'], 'model_args': {**ENCODERS['dinov3']['model_args'], 'mlp_ratio': 2}}
GATED = dict(swiglu_mlp=True, swiglu_align_to=8)
CASES = {
    'dinov2': DINOV2,
    'dinov2_classifier': DINOV2,
    'dinov2_swiglu': SWIGLU,
    'dinov2_registers': {**DINOV2, 'num_registers': 2},
    'vit': {**ENCODERS['vit'], 'arch': DINOV2['arch'], 'out_indices': [0, 1]},
    'dinov3': DINOV3,
    'dinov3_gated': {**DINOV3, 'model_args': {**DINOV3['model_args'], **GATED}},
    'clip_tower': ONCE,
    'clip': ONCE,
    'siglip': {
        **TIMM,
        'model': 'vit_base_patch16_siglip_224',
        'model_args': {**ARGS, 'mlp_ratio': 2, 'act_layer': 'gelu_tanh'},
    },
    'sam': {**ENCODERS['sam'], 'img_size': 32},
}


def maps(tokens, height, width):
    """The patches of (B, P+N, C), or of (B, H, W, C), as maps."""
    if tokens.dim() == 4:
        return tokens.permute(0, 3, 1, 2)
    return tokens[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))


def image(height=32, width=32):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


def assert_same(encoder, name, x):
    with torch.no_grad():
        ours = encoder(x)
    theirs = hidden(name, x)
    grid = x.shape[-2] // 8, x.shape[-1] // 8
    assert len(ours) == 2
    for one, other in zip(ours, theirs, strict=False):
        torch.testing.assert_close(one, maps(other, *grid), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', CASES)
def test_patch_tokens_are_those_of_transformers(name, tmp_path):
    state = written(name, tmp_path)
    encoder, info = from_file(CASES[name], tmp_path)  # the folder
    assert info.weights.startswith('sha256:')
    assert_same(encoder, name, image())
    # the names of the model in memory, which version 5 changed, and a prefix
    memory = {f'model.{key}': value for key, value in model(name).state_dict().items()}
    again = load(CASES[name], memory, tmp_path)
    for key, tensor in again.state_dict().items():
        assert torch.equal(tensor, encoder.state_dict()[key]), key
    assert len(state) > 20


@pytest.mark.parametrize('name', ['dinov2', 'dinov2_registers', 'dinov3', 'clip_tower'])
def test_other_shapes_of_images(name, tmp_path):
    written(name, tmp_path)
    encoder, _ = from_file(CASES[name], tmp_path)
    if name == 'clip_tower':  # Rein resizes positions bilinearly, transformers bicubically
        encoder.interpolate_mode = 'bicubic'
    assert_same(encoder, name, image(48, 64))


@pytest.mark.parametrize(
    ('name', 'timm'),
    [
        ('dinov2', dict(model='vit_small_patch14_dinov2', init_values=1)),
        ('dinov2_registers', dict(model='vit_small_patch14_reg4_dinov2', reg_tokens=2)),
        ('clip', dict(model='vit_base_patch16_clip_quickgelu_224')),
        ('vit', dict(model='vit_base_patch16_224')),
    ],
)
def test_the_same_files_into_models_of_timm(name, timm, tmp_path):
    written(name, tmp_path)
    more = {key: value for key, value in timm.items() if key != 'model'}
    cfg = {**TIMM, 'model': timm['model'], 'model_args': {**ARGS, 'mlp_ratio': 2, **more}}
    encoder, _ = from_file(cfg, tmp_path)
    assert_same(encoder, name, image())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_said(dtype, tmp_path, logged):
    halves = {key: value.to(dtype) for key, value in written('dinov2', tmp_path).items()}
    encoder = load(DINOV2, halves, tmp_path)
    assert {tensor.dtype for tensor in encoder.state_dict().values()} == {torch.float32}
    key = 'encoder.layer.0.attention.attention.value.weight'
    assert torch.equal(encoder.layers[0].attn.qkv.weight[32:], halves[key].float())
    words = str(dtype).removeprefix('torch.')
    assert f'; stored as {words}, computed in float32)' in logged[-1]


def test_the_report_names_what_is_left_out(tmp_path):
    state = written('clip', tmp_path)
    left_out = convert_weights(build_encoder(ONCE)[0], state).left_out
    assert 'text_projection.weight' in left_out
    assert 'proj' in left_out  # visual_projection.weight, under OpenAI's name
    assert any(name.startswith('text_model.') for name in left_out)


@torch.no_grad()
def test_the_joint_space_is_the_one_of_transformers(tmp_path):
    state = written('clip', tmp_path)
    found = encoder_of_file(state)
    assert (found['img_size'], found['patch_size']) == (32, 8)
    assert found['joint_dims'] == len(state['visual_projection.weight'])
    encoder, _ = from_file({**found, 'arch': ONCE['arch'], 'out_type': 'raw'}, tmp_path)
    sequence = encoder(image(32, 32))[-1]
    norm = (state[f'vision_model.post_layernorm.{name}'] for name in ('weight', 'bias'))
    normed = F.layer_norm(sequence[:, 0], (16,), *norm)
    expected = normed @ state['visual_projection.weight'].T
    torch.testing.assert_close(encoder.joint(sequence, (4, 4))[0], expected)


def test_numbers_of_positions_in_older_files_are_left_out(tmp_path):
    name, count = 'vision_model.embeddings.position_ids', torch.arange(17)[None]
    converted = convert_weights(build_encoder(ONCE)[0], {**written('clip', tmp_path), name: count})
    assert name in converted.left_out
    assert converted.tensors.keys() == build_encoder(ONCE)[0].state_dict().keys()


def test_keys_without_a_bias_have_none(tmp_path):
    written('dinov3', tmp_path)
    encoder, _ = from_file(DINOV3, tmp_path)
    query, key, value = encoder.model.blocks[0].attn.qkv.bias.chunk(3)
    assert query.abs().min() > 0 and value.abs().min() > 0
    assert not key.any()


def test_merged_weights_go_back_into_the_layout(tmp_path):
    state = written('dinov2', tmp_path)
    encoder, _ = from_file(DINOV2, tmp_path)
    with torch.no_grad():
        encoder.layers[1].attn.qkv.weight[16:32] += 1
    made = to_file_layout(encoder, state)
    assert made.changed == ('encoder.layer.1.attention.attention.key.weight',)
    expected = state[made.changed[0]] + 1
    torch.testing.assert_close(made.tensors[made.changed[0]], expected)
    assert made.tensors.keys() == state.keys()


def test_a_half_of_an_attention_is_refused(tmp_path):
    state = written('dinov2', tmp_path)
    del state['encoder.layer.1.attention.attention.value.weight']
    with pytest.raises(UserError, match=r"part of 'blocks\.1\.attn\.qkv\.weight' only"):
        load(DINOV2, state, tmp_path)


def test_files_of_another_size_or_family_say_so(tmp_path):
    written('dinov2', tmp_path)
    small = {**DINOV2, 'arch': {**DINOV2['arch'], 'num_layers': 3}}
    with pytest.raises(UserError, match='width 16, 2 blocks; the encoder is .* 3 blocks'):
        from_file(small, tmp_path)
    with pytest.raises(UserError, match='no register tokens, the encoder 2'):
        from_file(CASES['dinov2_registers'], tmp_path)
    with pytest.raises(UserError, match='unexpected'):
        from_file(ENCODERS['sam'], tmp_path)
    written('dinov3', tmp_path)
    with pytest.raises(UserError, match="is a DINOv3, .* take type='TimmEncoder'"):
        from_file(DINOV2, tmp_path)
