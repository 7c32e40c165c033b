"""DINOv2 and CLIP with official weights and names, alone and with Rein, against their authors'."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder
from rein_seg.encoders.resampling import resize_patch_kernel, resize_positions
from rein_seg.necks import TokenPyramid
from tests.golden.collect import assert_near, cases


def dinov2(config, path, **options):
    """Our config from an official one."""
    width = config['embed_dim']
    arch = dict(
        embed_dims=width,
        num_layers=config['depth'],
        num_heads=config['num_heads'],
        feedforward_channels=int(width * config['mlp_ratio']),
        ffn_type='swiglu_fused' if 'swiglu' in config['ffn_layer'] else 'origin',
    )
    return dict(
        type='DINOv2',
        arch=arch,
        img_size=config['img_size'],
        patch_size=config['patch_size'],
        num_registers=config.get('num_register_tokens', 0),
        checkpoint=save(path, options.pop('weights')),
        **options,
    )


def clip(config, path, weights):
    arch = dict(
        embed_dims=config['width'],
        num_layers=config['layers'],
        num_heads=config['heads'],
        feedforward_channels=4 * config['width'],
    )
    return dict(
        type='CLIPViT',
        arch=arch,
        img_size=config['input_resolution'],
        patch_size=config['patch_size'],
        out_indices=config['out_indices'],
        checkpoint=save(path, weights),
    )


def save(path, weights):
    torch.save({k: v for k, v in weights.items() if not k.startswith('reins.')}, path / 'w.pth')
    return str(path / 'w.pth')


@pytest.mark.parametrize('golden', cases('dinov2', 'dinoofficial'))
@pytest.mark.parametrize('norm', [False, True])
def test_dinov2_equals_the_official_one(golden, norm, tmp_path):
    config, weights, outputs = golden.meta['config'], golden.tensors('weight'), {}
    for name, value in golden.tensors('output').items():
        outputs.setdefault(name.split('.')[0], {})[name.split('.', 1)[1]] = value
    layers = list(range(config['depth']))
    cfg = dinov2(config, tmp_path, weights=weights, out_indices=layers, final_norm=norm)
    maps, _ = build_encoder(cfg)
    raw, _ = build_encoder({**cfg, 'out_type': 'raw'})
    assert maps.interpolate_offset == config['interpolate_offset']
    assert maps.antialias == config['interpolate_antialias']
    patch, other = config['patch_size'], ('raw.',) if norm else ('norm.', 'x_norm')
    for case, image in golden.tensors('input').items():
        with torch.no_grad():
            found = official_names(raw(image), maps(image), 'norm' if norm else 'raw', raw)
        grid = tuple(side // patch for side in image.shape[-2:])
        found['pos'] = maps.positions(grid)
        for name, expected in outputs[case].items():
            if not name.startswith(other):
                assert_near(found[name], expected, f'{case}.{name}')


def official_names(sequences, maps, key, encoder):
    prefix = encoder.num_prefix
    found = {}
    for layer, (sequence, feature) in enumerate(zip(sequences, maps, strict=True)):
        found[f'{key}.layer{layer}.patch'] = feature
        found[f'{key}.layer{layer}.cls'] = sequence[:, 0]
    if key == 'norm':
        found['x_norm_clstoken'] = sequences[-1][:, 0]
        found['x_norm_regtokens'] = sequences[-1][:, 1:prefix]
        found['x_norm_patchtokens'] = sequences[-1][:, prefix:]
    return found


@pytest.mark.parametrize('golden', cases('rein', 'dino', 'reinsdino'))
def test_dinov2_of_rein_equals_the_official_one(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    encoder = dinov2(config, tmp_path, weights=weights, out_indices=config['out_indices'])
    backbone = MODELS.build(
        dict(type='PEFTBackbone', encoder=encoder, peft=peft(config.get('reins_config')))
    ).eval()
    load_rein(backbone, weights)
    pyramid = TokenPyramid(backbone.out_channels, factors=(4, 2, 1, 0.5))
    check(golden, lambda image: pyramid(backbone(image).maps), backbone.peft.queries())


def peft(config):
    if config is None:
        return dict(type='Frozen')
    return dict(
        type='Rein',
        num_tokens=config['token_length'],
        rank=config.get('lora_dim', 16) if config['type'] == 'LoRAReins' else 0,
        link_to_queries=config['link_token_to_query'],
        query_dims=config['query_dims'],
    )


def load_rein(backbone, weights):
    unused = () if backbone.query_dims else ('transform.', 'merge.')
    reins = {k.removeprefix('reins.'): v for k, v in weights.items() if k.startswith('reins.')}
    state = {f'peft.stages.0.{k}': v for k, v in reins.items() if not k.startswith(unused)}
    backbone.load_state_dict(state, strict=True)


@pytest.mark.parametrize('golden', cases('rein', 'clip'))
def test_clip_of_rein_equals_the_official_one(golden, tmp_path):
    config = golden.meta['config']
    encoder, _ = build_encoder(clip(config, tmp_path, golden.tensors('weight')))
    check(golden, encoder, None)


def check(golden, compute, queries):
    outputs = golden.tensors('output')
    images, checked = golden.tensors('input'), 0
    for case, image in images.items():
        with torch.no_grad():
            for index, feature in enumerate(compute(image)):
                assert_near(feature, outputs[f'{case}.feat{index}'], f'{case}.feat{index}')
                checked += 1
        if queries is not None:
            assert_near(queries, outputs[f'{case}.query'], f'{case}.query')
            checked += 1
    assert checked == len(outputs)


@pytest.mark.parametrize('golden', cases('rein', 'convert_dinov2'))
def test_conversion_at_loading_equals_the_official_script(golden, tmp_path):
    config, official = golden.meta['config'], golden.tensors('input')
    size = config['grid_to'] * config['patch_to']
    arch = dict(embed_dims=config['embed_dim'], num_layers=1, num_heads=1, feedforward_channels=4)
    cfg = dict(type='DINOv2', arch=arch, img_size=size, patch_size=config['patch_to'])
    state = MODELS.build(cfg).state_dict()
    del state['patch_embed.projection.weight']  # the vectors hold the two resampled tensors only
    encoder, _ = build_encoder({**cfg, 'checkpoint': save(tmp_path, {**state, **official})})
    expected = golden.tensors('output')
    kernel = encoder.patch_embed.projection.weight
    assert_near(encoder.pos_embed, expected['pos_embed'], 'pos_embed')
    assert_near(kernel, expected['patch_embed.proj.weight'], 'patch_embed')


@pytest.mark.parametrize('golden', cases('rein', 'convert_dinov2', 'convert_eva02'))
def test_resampling_equals_the_official_script(golden):
    config, given, expected = golden.meta['config'], golden.tensors('input'), {}
    grid, size = (config['grid_to'],) * 2, (config['patch_to'],) * 2
    for name, tensor in given.items():
        if name.startswith('patch_embed'):
            expected[name] = resize_patch_kernel(tensor, size)
        else:
            rows = tensor.reshape(1, -1, tensor.shape[-1])
            expected[name] = resize_positions(rows, grid).reshape(*tensor.shape[:-2], -1,
                                                                  tensor.shape[-1])  # fmt: skip
    for name, tensor in golden.tensors('output').items():
        assert_near(expected[name], tensor, name)
