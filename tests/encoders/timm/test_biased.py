"""BEiT's tables of relative positions: timm's values, other sizes, method tokens, files."""

import pytest
import torch

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.timm.biased import (
    offsets,
    relative_bias,
    resample_table,
    table_axes,
)
from rein_seg.encoders.timm.model import build_timm
from rein_seg.encoders.timm.weights import timm_weights
from rein_seg.errors import UserError
from rein_seg.library.attach import attach
from rein_seg.structures import SeqSite
from tests.encoders.files import from_file
from tests.encoders.timm.official import randomised, saved, timm_maps
from tests.encoders.tiny import ENCODERS, image

BEIT = ENCODERS['beit']
SHARED = {
    **BEIT,
    'model_args': {
        **BEIT['model_args'],
        'use_rel_pos_bias': False,
        'use_shared_rel_pos_bias': True,
        'use_abs_pos_emb': True,
    },
}
BOTH = {**BEIT, 'model_args': {**BEIT['model_args'], 'use_shared_rel_pos_bias': True}}
FORMS = pytest.mark.parametrize('cfg', [BEIT, SHARED, BOTH], ids=['own', 'shared', 'both'])


def reloaded(cfg, model, tmp_path, **change):
    path = saved(model.state_dict(), tmp_path / 'timm.safetensors')
    return from_file({**cfg, **change}, path)[0]


@FORMS
def test_timm_file_computes_what_timm_computes(cfg, tmp_path):
    model = randomised(cfg)
    encoder = reloaded(cfg, model, tmp_path)
    with torch.no_grad():
        for x, y in zip(encoder(image(32, 32)), timm_maps(model, image(32, 32)), strict=True):
            assert torch.equal(x, y)


@FORMS
@pytest.mark.parametrize('size', [(64, 64), (32, 48), (24, 16)])
def test_other_sizes_are_those_of_timm(cfg, size, tmp_path):
    """Set by `img_size` exactly; found from the image, the tables differ by rounding."""
    model = randomised(cfg)
    fixed = reloaded(cfg, model, tmp_path, img_size=size)
    free = reloaded(cfg, model, tmp_path)
    other = build_timm(cfg['model'], {**cfg['model_args'], 'img_size': 32, 'patch_size': 8})
    other.load_state_dict(model.state_dict())
    other.eval().set_input_size(img_size=size)
    with torch.no_grad():
        expected = timm_maps(other, image(*size))
        for a, b, c in zip(fixed(image(*size)), free(image(*size)), expected, strict=True):
            assert torch.equal(a, c)
            torch.testing.assert_close(b, c, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('grid', [(8, 8), (4, 6), (2, 3), (1, 9)])
def test_resampled_table_is_that_of_timm(grid):
    from timm.layers import resize_rel_pos_bias_table

    table = torch.randn(7 * 7 + 3, 2, requires_grad=True)
    rows = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3
    shapes = dict(new_window_size=grid, new_bias_shape=(rows, 2), old_window_size=(4, 4))
    found = resample_table(table, table_axes(4, 4, *grid))
    expected = resize_rel_pos_bias_table(table.detach(), **shapes)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    found.sum().backward()
    assert torch.isfinite(table.grad).all()
    assert (table.grad[-3:] == 1).all()


def test_prompts_follow_the_class_token_and_have_no_bias():
    encoder, _ = build_encoder(BEIT)
    attention = encoder.model.blocks[0].attn
    with torch.no_grad():
        attention.relative_position_bias_table.normal_()
        places = offsets((4, 4), (4, 4), torch.device('cpu'))
        bias = relative_bias(attention.relative_position_bias_table, places)
        spared = torch.zeros(2, 20, 20)
        kept = torch.tensor([0, *range(4, 20)])  # three prompts behind the class token
        spared[:, kept[:, None], kept] = bias
        x = torch.randn(1, 20, 16)
        q, k, v = attention.qkv(x).reshape(1, 20, 3, 2, 8).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT / 8**0.5 + spared).softmax(-1)
        expected = attention.proj((weights @ v).transpose(1, 2).reshape(1, 20, 16))
        torch.testing.assert_close(attention(x, places), expected)


def test_compiled_encoder_gives_the_same_output():
    encoder, _ = build_encoder(BEIT)
    with torch.no_grad():
        compiled = torch.compile(encoder, backend='aot_eager')
        for x, y in zip(compiled(image()), encoder(image()), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def test_own_file_of_another_grid_keeps_or_resamples_its_tables(tmp_path):
    """A 5 x 13 grid has as many rows as 8 x 8: only its own file says which it is."""
    wide = {**BEIT, 'img_size': (40, 104), 'init_seed': 3}
    encoder, _ = build_encoder(wide)
    with torch.no_grad():
        for block in encoder.model.blocks:
            block.attn.relative_position_bias_table.normal_()
    own = {name: value.clone() for name, value in encoder.state_dict().items()}
    same = timm_weights(encoder, own)
    name = 'model.blocks.1.attn.relative_position_bias_table'
    assert torch.equal(same.tensors[name], own[name])
    assert same.resampled == ()
    small, _ = build_encoder(BEIT)
    other = timm_weights(small, dict(randomised(BEIT).state_dict()))
    assert other.tensors[name].shape == (52, 2)


def test_official_file_is_read_with_its_index_and_prediction_head_left_out(tmp_path):
    state = randomised(BEIT).state_dict()
    state |= {f'blocks.{i}.attn.relative_position_index': torch.zeros(17, 17) for i in (0, 1)}
    state |= {'fc_norm.weight': torch.ones(16), 'head.weight': torch.ones(9, 16)}
    torch.save({'model': state}, tmp_path / 'beit.pth')
    encoder, info = from_file({**BEIT, 'img_size': 64}, tmp_path / 'beit.pth')
    assert info.weights.startswith('sha256:')
    done = timm_weights(encoder, state)
    assert set(done.left_out) == {
        *('blocks.*.attn.relative_position_index', 'fc_norm.weight', 'head.weight'),
    }
    assert done.resampled == ('relative_position_bias_table (52, 2) -> (228, 2)',)


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (SHARED, 'one table of relative positions.*use_shared_rel_pos_bias=True'),
        (ENCODERS['pe_spatial'], 'timm cannot read the weights file for .beitv2_base'),
        (ENCODERS['aimv2'], 'timm cannot read the weights file for .beitv2_base'),
        ({**BEIT, 'model_args': dict(embed_dim=32, depth=2, num_heads=2)}, 'size mismatch|shape'),
    ],
    ids=['shared', 'perception_encoder', 'aimv2', 'wider'],
)
def test_wrong_file_is_refused(other, message, tmp_path):
    state = randomised(other).state_dict()
    with pytest.raises(UserError, match=message):
        from_file(BEIT, saved(state, tmp_path / 'other.safetensors'))


def test_bare_beit_takes_methods_but_no_tokens():
    model = randomised(BEIT)
    assert not [site for site in find_anatomy(model).sites if isinstance(site, SeqSite)]
    with torch.no_grad():
        before = model(image(32, 32))
        attached = attach(model, dict(type='LoRA', targets=['q', 'v'], rank=2))
        for param in attached.trainable_parameters():
            param.data.fill_(0.1)
        assert not torch.allclose(model(image(32, 32)), before)
        attached.detach()
        assert torch.equal(model(image(32, 32)), before)
    with pytest.raises(UserError, match='VPT inserts tokens'):
        attach(model, 'VPT')
