"""SSF against the official code: single operations and norms, blocks of ViT and ConvNeXt.

The block of Swin is in test_swin.py.
"""

import pytest
import torch
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.peft import SSF
from tests.golden.collect import cases, kind_of
from tests.golden.toy import Toy, assert_output, check_gradients, fill_ssf, operation, same

NAMES = ('ssf_scale_1', 'ssf_shift_1')
INNER = {'fc1': tuple(f'mlp.{n}' for n in NAMES), 'fc2': ('mlp.ssf_scale_2', 'mlp.ssf_shift_2')}
VIT = {
    'norm1': NAMES,
    'qkv': ('attn.ssf_scale_1', 'attn.ssf_shift_1'),
    'proj': ('attn.ssf_scale_2', 'attn.ssf_shift_2'),
    'norm2': ('ssf_scale_2', 'ssf_shift_2'),
    **INNER,
}
CONVNEXT = {'dw': NAMES, 'norm': ('ssf_scale_2', 'ssf_shift_2'), **INNER}


def module_of(golden):
    weights, config = golden.tensors('weight'), golden.meta['config']
    own = {k.split('.', 1)[1]: v for k, v in weights.items() if '.' in k}  # op.* or proj.*
    if 'running_mean' in own:
        module = nn.BatchNorm2d(len(own['weight']))
    elif own['weight'].dim() == 1:
        module = nn.LayerNorm(len(own['weight']), eps=config.get('eps', 1e-5))
    else:
        return operation({'stride': config.get('patch', 1), **config}, **own)
    module.load_state_dict(own, strict=True)
    return module


class Tokens(Toy):
    """A patch embedding: (B, C, H, W) -> (B, H W, C)."""

    def forward(self, x):
        return super().forward(x).flatten(2).transpose(1, 2)


@pytest.mark.parametrize('golden', cases('ssf', ''))
def test_operation_or_norm(golden):
    kind = Tokens if 'patch' in golden.meta['config'] else Toy
    toy = kind({'op': module_of(golden)})
    method = toy.attach(SSF(['op']))
    own = fill_ssf(method, toy.anatomy, {'op': NAMES}, golden.tensors('weight'))
    check_gradients(toy, golden, {name: (param, same) for name, param in own.items()})
    method.merge()
    merged = golden.tensors('merged')
    for name in set(merged) - {'y'}:
        torch.testing.assert_close(getattr(toy.ops['op'], name), merged[name], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        y = toy(golden.tensors('input')['x'])
        assert_output(y, golden, 'merged' if merged else 'output')


def vit_block(config):
    cfg = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(
            embed_dims=config['dim'],
            num_layers=1,
            num_heads=config['heads'],
            feedforward_channels=int(config['dim'] * config['mlp_ratio']),
        ),
        img_size=32,
        patch_size=8,
        out_indices=[0],
        out_type='featmap',
        final_norm=False,
        norm_cfg=dict(type='LN', eps=config.get('eps', 1e-5)),
        layer_scale_init_value=config.get('init_values') or 0.0,
        init_seed=0,
    )
    encoder, _ = build_encoder(cfg)
    names = {'norm1': 'ln1', 'norm2': 'ln2', 'ls1.gamma': 'attn.gamma1.weight', 'attn': 'attn'}
    names |= {'mlp.fc1': 'ffn.layers.0.0', 'mlp.fc2': 'ffn.layers.1'}
    names['ls2.gamma'] = 'ffn.gamma2.weight'
    return encoder, encoder.layers[0], names


def convnext_block(config):
    channels = config['in_channels']
    cfg = dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1], channels=[channels]),
        out_indices=[0],
        gap_before_final_norm=False,
        init_seed=0,
    )
    encoder, _ = build_encoder(cfg)
    encoder.stages[0][0] = type(encoder.stages[0][0])(channels, mlp_ratio=config['mlp_ratio'])
    names = {'conv_dw': 'depthwise_conv', 'norm': 'norm', 'gamma': 'gamma'}
    names |= {f'mlp.fc{i}': f'pointwise_conv{i}' for i in (1, 2)}
    encoder.eval()
    return encoder, encoder.stages[0][0], names


BLOCKS = {'vit': (vit_block, VIT), 'convnext': (convnext_block, CONVNEXT)}


@pytest.mark.parametrize('golden', cases('ssf', *BLOCKS))
def test_block(golden):
    build, places = BLOCKS[kind_of('ssf', golden.path, golden.meta)]
    encoder, module, names = build(golden.meta['config'])
    encoder.requires_grad_(False)
    weights = golden.tensors('weight')
    renamed = {}
    for name, value in weights.items():
        theirs = next((n for n in names if name == n or name.startswith(n + '.')), None)
        if 'ssf_' not in name:
            renamed[names[theirs] + name.removeprefix(theirs)] = value
    module.load_state_dict(renamed, strict=True)
    anatomy, method = find_anatomy(encoder), SSF(list(places), blocks=[0])
    method.attach(encoder, anatomy)
    own = fill_ssf(method, anatomy, places, weights)
    check_gradients(module, golden, {name: (param, same) for name, param in own.items()})
    method.merge()
    with torch.no_grad():
        assert_output(module(golden.tensors('input')['x']), golden)
