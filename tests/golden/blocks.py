"""One block of an official model as one block of ours, with a method on it."""

import re

import torch

from rein_seg.encoders import build_encoder, find_anatomy
from tests.golden.collect import assert_gradient

# names in timm's and others' blocks -> mmpretrain's
_VIT_NAMES = (
    (r'^norm([12])\.', r'ln\1.'),
    (r'^(mlp\.)?fc1\.', 'ffn.layers.0.0.'),
    (r'^(mlp\.)?fc2\.', 'ffn.layers.1.'),
)


def renamed(tensors, rules):
    for pattern, replacement in rules:
        tensors = {re.sub(pattern, replacement, name): value for name, value in tensors.items()}
    return tensors


def joined(tensors, names=('q_proj', 'k_proj', 'v_proj'), to='qkv'):
    """Makes one qkv of three separate linears."""
    result = dict(tensors)
    for key in [key for key in tensors if f'.{names[0]}.' in key]:
        each = [result.pop(key.replace(names[0], name)) for name in names]
        result[key.replace(names[0], to)] = torch.cat(each)
    return result


class Block:
    """A frozen block that maps (B, N, C) tokens to the same, and the anatomy of its encoder."""

    def __init__(self, encoder, module, grid=None):
        self.encoder = encoder
        encoder.requires_grad_(False).eval()
        self.anatomy = find_anatomy(encoder)
        self.module, self.grid = module, grid

    def __call__(self, x):
        if self.grid is None:
            return self.module(x)
        return self.module(x.unflatten(1, self.grid), self.grid).flatten(1, 2)

    def attach(self, method):
        method.attach(self.encoder, self.anatomy)
        return method.eval()


def vit_block(config, weights):
    """A pre-norm block with a fused qkv, or with q_proj, k_proj, v_proj; random without weights."""
    eps = config.get('eps', 1e-5)
    encoder, _ = build_encoder(
        dict(
            type='mmpretrain.VisionTransformer',
            arch=dict(
                embed_dims=config['dim'],
                num_layers=1,
                num_heads=config['heads'],
                feedforward_channels=int(config['dim'] * config['mlp_ratio']),
            ),
            img_size=32,
            patch_size=8,
            out_type='featmap',
            norm_cfg=dict(type='LN', eps=eps),
            layer_cfgs=dict(norm_cfg=dict(type='LN', eps=eps)),
            init_seed=0,
        )
    )
    block = encoder.layers[0]
    if weights is not None:
        block.load_state_dict(joined(renamed(weights, _VIT_NAMES)), strict=True)
    return Block(encoder, block)


def swin_block(config, weights, folder):
    """The block of this case's shift, loaded from an official file; the encoder's only stage."""
    block, depth = (1, 2) if config['shift'] else (0, 1)
    assert config['shift'] in (0, config['window'] // 2)
    cfg = dict(
        type='Swin',
        arch=dict(embed_dims=config['dim'], depths=[depth], num_heads=[config['heads']]),
        window_size=config['window'],
        ffn_ratio=config.get('mlp_ratio', len(weights['mlp.fc1.bias']) / config['dim']),
    )
    state = build_encoder({**cfg, 'init_seed': 0})[0].state_dict()
    own = ('norm', 'attn.', 'mlp.')
    blocks = {
        f'layers.0.blocks.{i}.{name}': tensor.clone()
        for i in range(depth)
        for name, tensor in weights.items()
        if name.startswith(own) and 'ssf_' not in name
    }
    rest = {k: v for k, v in state.items() if not k.startswith('stages.')}
    torch.save({'model': {**rest, **blocks}}, folder / 'swin.pth')
    encoder, _ = build_encoder({**cfg, 'checkpoint': str(folder / 'swin.pth')})
    return Block(encoder, encoder.stages[0].blocks[block], tuple(config['hw'])), block


def assert_outputs(own, golden, prefix='output'):
    """Compares outputs by name, within the tolerance of the sidecar."""
    expected = golden.tensors(prefix)
    for name, tolerance in golden.meta['tolerance']['output_max_abs'].items():
        error = (own[name] - expected[name]).abs().max()
        assert own[name].shape == expected[name].shape, name
        assert error <= tolerance, f'{name}: {error} > {tolerance}'


def check(golden, own, params, x):
    """Compares all outputs, and the gradients of the input and of all that trains.

    Args:
        golden: The case.
        own: Our outputs by name.
        params: Official name of each trainable tensor -> our gradient, a function to call after
            the backward pass.
        x: Our input.
    """
    assert_outputs(own, golden)
    cotangents, grads = golden.tensors('cotangent'), golden.tensors('grad')
    assert cotangents.keys() <= own.keys()
    sum((own[name] * cotangents[name]).sum() for name in cotangents).backward()
    assert_gradient(x.grad, grads.pop('input.x'), 'x')
    assert grads.keys() == params.keys()
    for name, gradient in params.items():
        assert_gradient(gradient().reshape(grads[name].shape), grads[name], name)


def load(module, weights, names):
    """Loads official tensors strictly; returns official name -> our gradient.

    Args:
        module: What has the parameters.
        weights: Official tensors by name.
        names: Our name -> official name, for all parameters.
    """
    own = dict(module.named_parameters())
    assert own.keys() == names.keys(), own.keys() ^ names.keys()
    with torch.no_grad():
        for name, param in own.items():
            param.copy_(weights[names[name]].reshape(param.shape))
    return {official: lambda p=own[name]: p.grad for name, official in names.items()}
