"""timm's vision transformers: what timm computes, official files, refusals, prompts."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from safetensors.torch import save_file

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.encoders.resampling import resize_patch_kernel, resize_positions
from rein_seg.encoders.timm import model as timm_module
from rein_seg.encoders.timm import weights as timm_weights_module
from rein_seg.encoders.timm.model import TimmEncoder, build_timm, timm_weights
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod
from rein_seg.structures import NormSite, OpSite, SeqSite
from tests.encoders.tiny import ENCODERS
from tests.paths import REPO

DINOV3, EVA02 = ENCODERS['dinov3'], ENCODERS['eva02']
CONFIGS = REPO / 'configs' / '_base_' / 'encoders'
SIGLIP = dict(
    type='TimmEncoder',
    model='vit_base_patch16_siglip_224',
    img_size=32,
    patch_size=8,
    out_indices=[0, 1],
    model_args=dict(embed_dim=16, depth=2, num_heads=2),
    init_seed=0,
)


def image(height=32, width=48):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


def randomised(cfg):
    """A timm model of this config, as timm builds it, with trained-looking values."""
    sizes = {k: cfg[k] for k in ('img_size', 'patch_size') if k in cfg}
    model = build_timm(cfg['model'], {**cfg['model_args'], **sizes}).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.2)
    return model


def saved(state, path):
    save_file({k: v.detach().contiguous().clone() for k, v in state.items()}, path)
    return str(path)


def from_file(cfg, path):
    cfg = {k: v for k, v in cfg.items() if k != 'init_seed'}
    return build_encoder({**cfg, 'checkpoint': str(path)})


def official_dinov3(model):
    """Meta's names, with what its files hold besides: k's bias (masked), periods, mask token."""
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith('q_bias'):
            other = model.state_dict()[name.replace('q_bias', 'v_bias')]
            joined = torch.cat((value, torch.full_like(value, 7.0), other))
            state[name.replace('q_bias', 'qkv.bias')] = joined
            state[name.replace('q_bias', 'qkv.bias_mask')] = torch.ones_like(joined)
        elif not name.endswith('v_bias'):
            name = name.replace('gamma_1', 'ls1.gamma').replace('gamma_2', 'ls2.gamma')
            state[name.replace('reg_token', 'storage_tokens')] = value
    state['rope_embed.periods'] = torch.ones(2)
    state['mask_token'] = torch.ones(1, 16)
    state['norm.weight'], state['norm.bias'] = torch.ones(16), torch.ones(16)
    return state


def timm_maps(model, x):
    return model.forward_intermediates(x, indices=[0, 1], intermediates_only=True)


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


def test_pretrained_goes_through_the_same_strict_loading(monkeypatch):
    import timm.models

    model, asked = randomised(SIGLIP), []

    def download(hub_id, **options):
        asked.append((hub_id, options))
        return model.state_dict()

    monkeypatch.setattr(timm.models, 'load_state_dict_from_hf', download)
    name = 'vit_base_patch16_siglip_224.webli'
    cfg = {**SIGLIP, 'model': name, 'init_seed': None, 'pretrained': True}
    encoder, info = build_encoder(cfg)
    assert asked[0][0] == f'timm/{name}'
    assert asked[0][1]['weights_only'] is True
    assert info.weights.startswith('sha256:')
    assert info.mean == (127.5, 127.5, 127.5)
    with torch.no_grad():
        torch.testing.assert_close(encoder(image())[1], timm_maps(model, image())[1])

    def fail(hub_id, **options):
        raise OSError('no route to host\nmore')

    monkeypatch.setattr(timm.models, 'load_state_dict_from_hf', fail)
    with pytest.raises(UserError, match=r'cannot be had \(OSError: no route to host\)'):
        build_encoder(cfg)


@pytest.mark.parametrize(
    'given',
    [{}, dict(pretrained=True, init_seed=0), dict(init_seed=0, checkpoint='a.pth'),
     dict(pretrained='url')],
)  # fmt: skip
def test_exactly_one_source_of_weights(given):
    cfg = {k: v for k, v in SIGLIP.items() if k != 'init_seed'}
    with pytest.raises(UserError, match='give exactly one of checkpoint'):
        build_encoder({**cfg, **given})


def test_a_file_of_ones_own_comes_before_the_hub():
    cfg = {**SIGLIP, 'init_seed': None, 'pretrained': True, 'checkpoint': 'a.pth'}
    with pytest.raises(UserError, match="'a.pth' does not exist"):
        build_encoder(cfg)


def test_pretrained_needs_a_class_with_hub_ids():
    cfg = {**ENCODERS['vit'], 'init_seed': None, 'pretrained': True}
    with pytest.raises(UserError, match='VisionTransformer has no weights by hub id'):
        build_encoder(cfg)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model='vit_small_patch16_dinov4'), "no model 'vit_small_patch16_dinov4'.*dinov3"),
        (dict(model='vit_small_patch16_dinov3.nonsense'), 'cannot be built'),
        (
            dict(model='convnext_tiny', patch_size=None, model_args={}),
            'for ConvNeXt use mmpretrain.ConvNeXt',
        ),
        (
            dict(model='vit_relpos_small_patch16_224', model_args={}),
            'takes the classes VisionTransformer and Eva',
        ),
        (dict(model_args=dict(embed_dimension=3)), 'embed_dimension'),
        (dict(out_indices=[5]), 'goes beyond the encoder: it has 2 blocks'),
        (dict(resample='nearest'), "resample='nearest'"),
        (dict(img_sice=3), "takes no 'img_sice'"),
    ],
)
def test_bad_config(change, message):
    with pytest.raises(UserError, match=message):
        build_encoder({**DINOV3, **change})


def test_post_norm_blocks_are_refused():
    args = dict(embed_dim=16, depth=2, num_heads=2, use_post_norm=True, scale_attn_inner=False)
    with pytest.raises(UserError, match='EvaBlockPostNorm'):
        build_encoder({**EVA02, 'model_args': args})


def test_default_outputs_follow_the_depth():
    assert TimmEncoder('vit_tiny_patch16_224').out_indices == (2, 5, 8, 11)
    assert TimmEncoder('vit_tiny_patch16_224', model_args=dict(depth=4)).out_indices == (0, 1, 2, 3)


class Prompts(PEFTMethod):
    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def connect(self, anatomy):
        for site in anatomy.find(SeqSite):
            self.hook(site, self.insert)

    def insert(self, x, context):
        return self.tokens.expand(x.shape[0], -1, -1)


def test_prompts_on_a_rotary_encoder_are_not_rotated():
    """Two registers are the same as two prompts with their values."""
    args = dict(embed_dim=16, depth=1, num_heads=2, init_values=0.5, num_reg_tokens=3)
    cfg = {**DINOV3, 'model_args': args, 'out_indices': [0]}
    whole, _ = build_encoder(cfg)
    fewer, _ = build_encoder({**cfg, 'model_args': {**args, 'num_reg_tokens': 1}})
    state = whole.state_dict()
    tokens = state.pop('model.reg_token')
    fewer.load_state_dict({**state, 'model.reg_token': tokens[:, :1]})
    anatomy = find_anatomy(fewer)
    assert (find_anatomy(whole).num_prefix, anatomy.num_prefix) == (4, 2)
    with torch.no_grad():
        before = fewer(image())[0]
        method = Prompts(tokens[:, 1:])
        method.attach(fewer, anatomy)
        torch.testing.assert_close(fewer(image())[0], whole(image())[0])
        twin = copy.deepcopy(fewer)
        method.detach()
        assert torch.equal(fewer(image())[0], before)
        assert twin.model.blocks[0].attn.num_prefix_tokens == 4


def test_norms_that_only_some_models_have_are_sites():
    encoder, _ = build_encoder(EVA02)
    norms = {site.role: site.channels for site in find_anatomy(encoder).find(NormSite)}
    assert norms == {'norm1': 16, 'norm2': 16, 'ffn_norm': 42}
    parts = [site.parts for site in find_anatomy(encoder).find(OpSite, blocks=[0], role='fc1')]
    assert parts == [(('gate', 0, 42),), (('value', 0, 42),)]


@pytest.mark.parametrize('cfg', [DINOV3, SIGLIP], ids=['dinov3', 'siglip'])
def test_compiled_encoder_gives_the_same_output(cfg):
    backbone = MODELS.build(
        dict(type='PEFTBackbone', encoder=cfg, peft=dict(type='Rein', num_tokens=4, rank=2))
    ).eval()
    with torch.no_grad():
        compiled = torch.compile(backbone.encoder, backend='aot_eager')
        for x, y in zip(compiled(image()), backbone(image()).maps, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def test_timm_is_imported_on_first_use_only():
    for module in (timm_module, timm_weights_module):
        assert not [v for v in vars(module).values() if getattr(v, '__name__', '') == 'timm']


@pytest.mark.parametrize(
    ('name', 'encoder', 'method'),
    [
        # specs/rein.md section 7: the published sizes
        ('eva02_large', 304_237_504, 2_990_081),
        ('convnext_large', None, 8_289_156),
        ('resnet50', None, 13_187_588),
        ('dinov3_large', None, 2_990_081),
    ],
)
def test_base_configs_build_at_the_published_size(name, encoder, method):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    with shapes_only():
        built = MODELS.build(dict(type='PEFTBackbone', encoder=cfg.encoder, peft=dict(type='Rein')))
    assert sum(p.numel() for p in built.peft.parameters()) == method
    if encoder:
        assert sum(p.numel() for p in built.encoder.parameters()) == encoder
    strides = (4, 8, 8, 8) if name == 'resnet50' else (4, 8, 16, 32)
    tokens = name in ('eva02_large', 'dinov3_large')
    assert built.anatomy.out_strides == ((16,) * 4 if tokens else strides)
