"""AdaptFormer's block against the official one: outputs and gradients."""

import pytest

from rein_seg.peft.methods.adaptformer import AdaptFormer
from tests.golden.blocks import check, load, vit_block
from tests.golden.collect import cases

NAMES = {
    'mlp.down.': 'down_proj.',
    'mlp.up.': 'up_proj.',
    'norm_in.': 'adapter_layer_norm_before.',
    'norm_out.': 'adapter_layer_norm_before.',
    'scale': 'scale',
}


def official(name):
    start = next(start for start in NAMES if name.startswith(start))
    return f'adaptmlp.{NAMES[start]}{name.removeprefix(start)}'


@pytest.mark.parametrize('golden', cases('adaptformer', ''))
def test_block_equals_the_official_one(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    own = {k: v for k, v in weights.items() if not k.startswith('adaptmlp.')}
    block = vit_block(config, own)
    learned = config['scalar'] == 'learnable_scalar'
    method = AdaptFormer(
        config['bottleneck'],
        form=config['ffn_option'],
        norm=config['layernorm_option'],
        learn_scale=learned,
        scale=1.0 if learned else float(config['scalar']),
    )
    block.attach(method)
    layer = method.layers['ffn_0']
    params = load(layer, weights, {name: official(name) for name, _ in layer.named_parameters()})
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': block(x)}, params, x)
