"""SETR's vision transformer: its sizes, its files, the token that MLA drops."""

import pytest
import torch
from mmengine.config import Config
from mmseg.models.backbones import VisionTransformer

from rein_seg.encoders import build_encoder, convert_weights, find_anatomy
from rein_seg.errors import UserError
from rein_seg.export.count import build_shapes
from rein_seg.structures import ParamSite
from tests.encoders.tiny import ENCODERS, image
from tests.paths import REPO

TINY = ENCODERS['vit_setr']


def build(**change):
    return build_encoder({**TINY, **change})[0]


def official(encoder):
    """A file of SETR, by the official names."""
    rules = (
        ('patch_embed.projection.', 'patch_embed.proj.'),
        ('.ln', '.norm'),
        ('.ffn.layers.0.0.', '.mlp.fc1.'),
        ('.ffn.layers.1.', '.mlp.fc2.'),
        ('layers.', 'blocks.'),
    )
    file = {}
    for name, tensor in encoder.state_dict().items():
        for ours, theirs in rules:
            name = name.replace(ours, theirs)
        file[name] = tensor.clone()
    return file


def same(encoder, converted):
    own = encoder.state_dict()
    assert converted.tensors.keys() == own.keys()
    return all(torch.equal(own[name], tensor) for name, tensor in converted.tensors.items())


def test_vit_l_at_768_has_the_published_number_of_parameters():
    with torch.device('meta'):
        encoder = build(arch='large', img_size=768, patch_size=16)
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2) == 305.46


def test_official_files_load_without_heads_and_neck():
    encoder = build()
    beside = ('norm_0.weight', 'mla.mla_p2.0.weight')
    file = {f'backbone.{name}': tensor for name, tensor in official(encoder).items()}
    file |= {f'backbone.{name}': torch.ones(1) for name in beside}
    file |= {
        'decode_head.conv_0.weight': torch.ones(1),
        'auxiliary_head.0.aux.weight': torch.ones(1),
    }
    converted = convert_weights(encoder, file)
    assert same(encoder, converted)
    others = ('decode_head.conv_0.weight', 'auxiliary_head.0.aux.weight')
    assert set(converted.left_out) == {*beside, *others}


def test_classifiers_and_distilled_deits_load():
    encoder = build()
    file = official(encoder)
    extra = {'norm.weight': torch.ones(16), 'head.weight': torch.ones(2, 16)}
    assert same(encoder, convert_weights(encoder, {**file, **extra}))
    table = file['pos_embed']
    two = torch.cat((table[:, :1], torch.full((1, 1, 16), 9.0), table[:, 1:]), dim=1)
    extra |= {'pos_embed': two, 'dist_token': torch.ones(1, 1, 16)}
    extra |= {'head_dist.weight': torch.ones(2, 16)}
    converted = convert_weights(encoder, {**file, **extra})
    assert same(encoder, converted)
    assert {'dist_token', 'head_dist.weight'} <= set(converted.left_out)


def test_files_of_mmsegmentation_load_with_a_zero_bias_of_the_patches():
    encoder = build()
    torch.nn.init.zeros_(encoder.patch_embed.projection.bias)
    file = {}
    for name, tensor in encoder.state_dict().items():
        name = name.replace('attn.qkv.', 'attn.attn.in_proj_')
        name = name.replace('attn.proj.', 'attn.attn.out_proj.')
        file[f'backbone.{name}'] = tensor
    del file['backbone.patch_embed.projection.bias']
    converted = convert_weights(encoder, file)
    assert same(encoder, converted)
    assert converted.filled == ('patch_embed.projection.bias',)


def test_positions_are_resized_bilinearly():
    file = official(build(img_size=32))
    found = convert_weights(build(img_size=(48, 64)), file).tensors['pos_embed']
    grid = file['pos_embed'][:, 1:].view(1, 4, 4, 16).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.interpolate(grid, size=(6, 8), mode='bilinear')
    torch.testing.assert_close(found[:, 1:], wanted.flatten(2).transpose(1, 2))
    assert torch.equal(found[:, 0], file['pos_embed'][:, 0])


def test_files_of_another_size_are_named():
    file = official(build(arch=dict(TINY['arch'], num_layers=3)))
    with pytest.raises(UserError, match='width 16, 3 blocks; the encoder is .* 2 blocks'):
        convert_weights(build(), file)


@torch.no_grad()
def test_without_its_class_token_the_blocks_see_patches_only():
    whole, dropped = build(out_type='raw'), build(out_type='raw', drop_class_token=True)
    dropped.load_state_dict(whole.state_dict())
    x = image()
    assert [y.shape[1] for y in whole(x)] == [25, 25]
    assert [y.shape[1] for y in dropped(x)] == [24, 24]
    before = dropped(x)
    dropped.cls_token.add_(1)
    dropped.pos_embed[:, 0].add_(1)
    assert all(torch.equal(a, b) for a, b in zip(before, dropped(x), strict=True))
    dropped.pos_embed[:, 1:].add_(1)
    assert not torch.allclose(before[0], dropped(x)[0])


def test_a_dropped_class_token_is_no_parameter_to_train():
    def tokens(encoder):
        sites = find_anatomy(encoder).find(ParamSite)
        return [site.name for site in sites if site.name == 'cls_token']

    assert tokens(build()) == ['cls_token']
    dropped = build(drop_class_token=True)
    assert tokens(dropped) == []
    assert 'cls_token' not in dict(dropped.named_parameters())
    assert 'cls_token' in dropped.state_dict()  # as in official files
    assert find_anatomy(build(drop_class_token=True)).num_prefix == 0


def test_mmpretrain_s_own_class_cannot_drop_it_after_the_positions():
    assert build().as_mmpretrain()['interpolate_mode'] == 'bilinear'
    with pytest.raises(UserError, match='drop_class_token=True'):
        build(drop_class_token=True).as_mmpretrain()


def test_shapes_are_built_without_weights():
    model = dict(type='PEFTSegmentor', num_classes=3, decode_head=dict(type='SETRHead'))
    encoder = {k: v for k, v in TINY.items() if k != 'init_seed'}
    model['backbone'] = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen'))
    model['backbone']['encoder'] |= dict(checkpoint='no_such_file.pth')
    model['decode_head'] |= dict(checkpoint='no_such_file.pth')
    assert all(p.is_meta for p in build_shapes(Config(dict(model=model))).parameters())


@torch.no_grad()
def test_outputs_equal_mmsegmentation_s_from_its_files():
    theirs = VisionTransformer(
        img_size=(32, 48),
        patch_size=8,
        embed_dims=16,
        num_layers=2,
        num_heads=2,
        mlp_ratio=2,
        out_indices=(0, 1),
        qkv_bias=True,
        norm_cfg=dict(type='LN', eps=1e-6),
    )
    theirs.eval()  # returns nothing
    generator = torch.Generator().manual_seed(3)
    for parameter in theirs.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    encoder = build(img_size=(32, 48))
    file = {f'backbone.{name}': tensor for name, tensor in theirs.state_dict().items()}
    encoder.load_state_dict(convert_weights(encoder, file).tensors)
    for found, expected in zip(encoder(image()), theirs(image()), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('name', 'grid', 'prefix'),
    [
        ('setr_large', 48, 1),
        ('setr_large_512', 32, 1),
        ('setr_large_mla', 48, 0),
        ('setr_large_mla_512', 32, 0),
        ('setr_deit_base', 48, 1),
    ],
)
def test_base_configs(name, grid, prefix):
    cfg = dict(Config.fromfile(REPO / f'configs/_base_/encoders/{name}.py').encoder)
    # the name decides whether a missing file may be downloaded
    assert cfg.pop('checkpoint_url').endswith(cfg.pop('checkpoint').removeprefix('checkpoints'))
    with torch.device('meta'):
        encoder = build_encoder({**cfg, 'init_seed': 0})[0]
    assert tuple(encoder.patch_resolution) == (grid, grid)
    assert (encoder.num_prefix, len(encoder.out_indices)) == (prefix, 4)
