"""Official files into vision transformers: names, resampling, what does not fit."""

import pytest
import torch

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.resampling import resize_positions
from rein_seg.encoders.timm.model import build_timm
from rein_seg.encoders.weights import Converted, rename
from rein_seg.errors import UserError
from tests.encoders.files import load
from tests.encoders.plain_vit.official import LAYOUTS, PLAIN, REGISTERS, official
from tests.encoders.tiny import ENCODERS


def random(cfg, seed=3):
    return build_encoder({**cfg, 'init_seed': seed})[0]


def assert_loaded(encoder, original):
    own = original.state_dict()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, own[name]), name


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('cfg', [PLAIN, REGISTERS], ids=['plain', 'registers'])
def test_layouts_of_dinov2(layout, cfg, tmp_path):
    original = random(cfg)
    assert_loaded(load(cfg, LAYOUTS[layout](official(original)), tmp_path), original)


@pytest.mark.parametrize(
    'cfg',
    [
        {**PLAIN, 'arch': {**PLAIN['arch'], 'ffn_type': 'swiglu_fused'}},
        {**PLAIN, 'final_norm': True},
        {**ENCODERS['vit'], 'final_norm': True},
        ENCODERS['dinov2_swiglu'],
    ],
    ids=['swiglu', 'final_norm', 'mmpretrain', 'mmpretrain_swiglu'],
)
def test_official_names_reach_every_tensor(cfg, tmp_path):
    original = random(cfg)
    assert_loaded(load(cfg, official(original), tmp_path), original)


def test_mmpretrain_names_are_taken_and_resampled(tmp_path):
    original = random({**PLAIN, 'img_size': 48})
    encoder = load(PLAIN, {f'backbone.{k}': v for k, v in original.state_dict().items()}, tmp_path)
    expected = resize_positions(original.pos_embed, (4, 4))
    assert torch.equal(encoder.pos_embed, expected)


def test_conversion_says_what_it_did():
    cfg = {**PLAIN, 'img_size': 42, 'patch_size': 7}
    converted = convert_weights(random(PLAIN), official(random(cfg)))
    assert converted.left_out == ('mask_token',)
    assert str(converted) == (
        'resampled patch_embed.projection.weight 7x7 -> 8x8, pos_embed 6x6 -> 4x4; '
        'left out mask_token'
    )
    many = Converted({}, left_out=tuple('abcdefghij'))
    assert str(many) == 'left out a, b, c, d, e, f, g, h and 2 more'
    assert str(Converted({})) == 'taken as it is'


@pytest.mark.parametrize(('cfg', 'antialias'), [(PLAIN, False), (REGISTERS, True)])
def test_positions_are_resampled_by_the_release_own_rule(cfg, antialias, tmp_path):
    original = random({**cfg, 'img_size': 72})
    encoder = load(cfg, official(original), tmp_path)
    expected = resize_positions(original.pos_embed, (4, 4), antialias=antialias)
    other = resize_positions(original.pos_embed, (4, 4), antialias=not antialias)
    assert torch.equal(encoder.pos_embed, expected)
    assert (encoder.pos_embed - other).abs().max() > 1e-3


def test_non_square_grid_takes_its_own_and_square_files(tmp_path):
    cfg = {**PLAIN, 'img_size': (32, 48)}
    original = random(cfg)
    assert_loaded(load(cfg, official(original), tmp_path), original)
    square = random(PLAIN)
    encoder = load(cfg, official(square), tmp_path)
    assert torch.equal(encoder.pos_embed, resize_positions(square.pos_embed, (4, 6)))


def test_as_many_positions_in_another_grid(tmp_path):
    """2 x 8 is as many as 4 x 4: files of the encoder's own are 2 x 8, others are square."""
    cfg = {**PLAIN, 'img_size': (16, 64)}
    original, square = random(cfg), official(random(PLAIN))
    assert_loaded(load(cfg, original.state_dict(), tmp_path), original)
    encoder = load(cfg, square, tmp_path)
    assert torch.equal(encoder.pos_embed, resize_positions(square['pos_embed'], (2, 8)))
    assert convert_weights(encoder, square).resampled == ('pos_embed 4x4 -> 2x8',)


def test_registers_as_timm_keeps_them(tmp_path):
    """Its class token holds its position, so the table has no row for it."""
    args = dict(embed_dim=16, depth=2, num_heads=2, reg_tokens=2, mlp_ratio=2)
    sizes = dict(img_size=32, patch_size=8)
    model = build_timm('vit_small_patch14_reg4_dinov2', {**args, **sizes}).eval()
    with torch.no_grad():
        for param in model.parameters():
            torch.nn.init.normal_(param, std=0.2)
        assert model.pos_embed.shape == (1, 16, 16)
        encoder = load(REGISTERS, model.state_dict(), tmp_path)
        image = torch.randn(2, 3, 32, 32)
        maps = model.forward_intermediates(image, indices=[0, 1], intermediates_only=True)
        for x, y in zip(encoder(image), maps, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
    assert torch.equal(encoder.register_tokens, model.reg_token)
    with pytest.raises(UserError, match='has 2 register tokens, the encoder 0: set num_registers'):
        load(PLAIN, model.state_dict(), tmp_path)


TRANSFORMERS = {
    'dinov2': 'embeddings.patch_embeddings.projection.weight',
    'class_token': 'dinov2.embeddings.cls_token',
    'vit': 'vit.encoder.layer.0.attention.attention.query.weight',
    'dinov3': 'layer.0.attention.q_proj.weight',
    'clip': 'vision_model.embeddings.class_embedding',
}


@pytest.mark.parametrize('layout', TRANSFORMERS)
@pytest.mark.parametrize('family', ['vit', 'dinov2_registers', 'clip_tower', 'dinov3', 'eva02'])
def test_files_of_hugging_face_transformers_are_named(family, layout, tmp_path):
    state = {TRANSFORMERS[layout]: torch.ones(1), 'other.weight': torch.ones(1)}
    with pytest.raises(
        UserError, match=r'a Hugging Face transformers file .*docs/reference/weights\.md'
    ):
        load(ENCODERS[family], state, tmp_path)


def test_a_text_tower_of_transformers_is_no_reason_to_refuse_the_file():
    encoder, _ = build_encoder(ENCODERS['clip_tower'])
    state = {'text.transformer.encoder.layer.0.attention.self.query.weight': torch.ones(1)}
    assert convert_weights(encoder, state).tensors == state


def wider(state):
    state['patch_embed.proj.weight'] = torch.ones(384, 3, 8, 8)
    return {**state, **{f'blocks.{i}.norm1.weight': torch.ones(384) for i in range(12)}}


@pytest.mark.parametrize(
    ('cfg', 'file', 'change', 'message'),
    [
        (PLAIN, PLAIN, wider, 'is a ViT-S: width 384, 12 blocks; the encoder is a ViT of no usual'
         ' size: width 16, 2 blocks'),
        (PLAIN, REGISTERS, dict, 'has 2 register tokens, the encoder 0: set num_registers=2'),
        (ENCODERS['vit'], {**REGISTERS, 'arch': ENCODERS['vit']['arch']}, dict,
         "set num_registers=2 of type='DINOv2'"),
        (REGISTERS, PLAIN, dict, 'no register tokens, the encoder 2: set num_registers=0'),
        (REGISTERS, {**REGISTERS, 'num_registers': 4}, dict, '4 register tokens, the encoder 2'),
        (PLAIN, PLAIN, lambda s: {'conv1.weight': torch.ones(1)}, r'1 unexpected.*conv1\.weight'),
        (PLAIN, PLAIN, lambda s: {**s, 'extra': torch.ones(1)}, '1 unexpected. Unexpected: extra'),
        (PLAIN, PLAIN, lambda s: {k: v for k, v in s.items() if 'fc2.bias' not in k},
         r'Missing: layers\.0\.ffn\.layers\.1\.bias'),
        (PLAIN, PLAIN, lambda s: {**s, 'pos_embed': torch.ones(1, 12, 16)}, 'square number'),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_explained(cfg, file, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load(cfg, change(official(random(file))), tmp_path)


def test_two_tensors_of_one_name_are_refused():
    with pytest.raises(UserError, match="both become 'a'"):
        rename({'b': torch.ones(1), 'c': torch.ones(1)}, [('[bc]', 'a')])
