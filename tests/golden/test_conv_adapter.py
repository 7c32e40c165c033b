"""Conv-Adapter against the official module, and blocks of three kinds."""

import pytest

from rein_seg.encoders import build_encoder
from rein_seg.peft.methods.conv_adapter import ConvAdapter, ConvAdapterLayer
from tests.golden.blocks import Block, check, load, renamed, swin_block
from tests.golden.collect import cases


def params_of(layer, weights, prefix='tuning_module.'):
    return load(layer, weights, {name: prefix + name for name, _ in layer.named_parameters()})


def own(weights):
    return {k: v for k, v in weights.items() if not k.startswith('tuning_module.')}


def run(golden, block, index=0):
    """Puts the method on one block and compares."""
    method = ConvAdapter(golden.meta['config']['reduction'], blocks=[index])
    block.attach(method)
    (layer,) = method.layers.values()
    params = params_of(layer, golden.tensors('weight'))
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': block(x)}, params, x)


@pytest.mark.parametrize('golden', cases('conv_adapter', 'module'))
def test_layer_equals_the_official_one(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    layer = ConvAdapterLayer(
        config['inplanes'],
        config['outplanes'],
        reduction=config['reduction'],
        act=config['act'],
        zero_init=True,
        kernel_size=config['k'],
        stride=config['stride'],
        padding=config['pad'],
    )
    params = params_of(layer, weights, prefix='')
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': layer.convolve(x)}, params, x)


@pytest.mark.parametrize('golden', cases('conv_adapter', 'bottleneck'))
def test_bottleneck_equals_the_official_one(golden):
    config = golden.meta['config']
    encoder, _ = build_encoder(
        dict(
            type='mmseg.ResNet',
            depth=50,
            stem_channels=config['inplanes'],
            base_channels=config['planes'],
            num_stages=1,
            strides=[config['stride']],
            dilations=[1],
            out_indices=[0],
            init_seed=0,
        )
    )
    block = encoder.layer1[0]
    assert (block.downsample is not None) == config['downsample']
    block.load_state_dict(own(golden.tensors('weight')), strict=True)
    run(golden, Block(encoder, block))


@pytest.mark.parametrize('golden', cases('conv_adapter', 'convnext'))
def test_convnext_block_equals_the_official_one(golden):
    config = golden.meta['config']
    encoder, _ = build_encoder(
        dict(
            type='mmpretrain.ConvNeXt',
            arch=dict(depths=[1], channels=[config['dim']]),
            out_indices=[0],
            gap_before_final_norm=False,
            init_seed=0,
        )
    )
    rules = ((r'^dwconv\.', 'depthwise_conv.'), (r'^pwconv([12])\.', r'pointwise_conv\1.'))
    block = encoder.stages[0][0]
    block.load_state_dict(renamed(own(golden.tensors('weight')), rules), strict=True)
    run(golden, Block(encoder, block))


@pytest.mark.parametrize('golden', cases('conv_adapter', 'swin'))
def test_swin_block_equals_the_official_one(golden, tmp_path):
    run(golden, *swin_block(golden.meta['config'], golden.tensors('weight'), tmp_path))
