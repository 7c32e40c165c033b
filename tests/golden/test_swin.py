"""A Swin block with official names, loaded as users load it, against official blocks.

SSF scales and shifts what every norm and operation of a block gives, so its vectors see each of
their sites.
"""

import pytest
import torch

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.peft import SSF
from tests.golden.collect import assert_gradient, assert_near, cases
from tests.golden.toy import fill_ssf

# role of a site -> names of its scale and shift
PLACES = {
    'norm1': ('ssf_scale_1', 'ssf_shift_1'),
    'qkv': ('attn.ssf_scale_1', 'attn.ssf_shift_1'),
    'proj': ('attn.ssf_scale_2', 'attn.ssf_shift_2'),
    'norm2': ('ssf_scale_2', 'ssf_shift_2'),
    'fc1': ('mlp.ssf_scale_1', 'mlp.ssf_shift_1'),
    'fc2': ('mlp.ssf_scale_2', 'mlp.ssf_shift_2'),
}


def swin(config, weights, path):
    """An encoder of one stage whose block has this case's shift, and the number of the block."""
    block, depth = (1, 2) if config['shift'] else (0, 1)
    assert config['shift'] in (0, config['window'] // 2)
    cfg = dict(
        type='Swin',
        arch=dict(embed_dims=config['dim'], depths=[depth], num_heads=[config['heads']]),
        window_size=config['window'],
        ffn_ratio=config['mlp_ratio'],
    )
    state = build_encoder({**cfg, 'init_seed': 0})[0].state_dict()
    blocks = {
        f'layers.0.blocks.{i}.{name}': tensor.clone()
        for i in range(depth)
        for name, tensor in weights.items()
        if 'ssf_' not in name
    }
    rest = {k: v for k, v in state.items() if not k.startswith('stages.')}
    torch.save({'model': {**rest, **blocks}}, path / 'swin.pth')
    return build_encoder({**cfg, 'checkpoint': str(path / 'swin.pth')})[0], block


@pytest.mark.parametrize('golden', cases('ssf', lambda meta: 'SwinTransformerBlock' in str(meta)))
def test_block_equals_the_official_one(golden, tmp_path):
    weights, config = golden.tensors('weight'), golden.meta['config']
    encoder, block = swin(config, weights, tmp_path)
    method = SSF(PLACES, blocks=[block])
    anatomy = find_anatomy(encoder.requires_grad_(False))
    method.attach(encoder, anatomy)
    own = fill_ssf(method, anatomy, PLACES, weights)
    x = golden.tensors('input')['x'].requires_grad_()
    grid = tuple(config['hw'])
    y = encoder.stages[0].blocks[block](x.unflatten(1, grid), grid).flatten(1, 2)
    assert_near(y, golden.tensors('output')['y'], 'y')
    (y * golden.tensors('cotangent')['y']).sum().backward()
    gradients = golden.tensors('grad')
    assert_gradient(x.grad, gradients.pop('input.x'), 'x')
    assert gradients
    for name, expected in gradients.items():
        assert_gradient(own[name].grad, expected, name)
