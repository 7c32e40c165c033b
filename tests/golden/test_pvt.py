"""PVT against the official networks, from files of their tensors: maps and gradients."""

import pytest
import torch

from rein_seg.encoders import build_encoder
from tests.golden.blocks import assert_outputs
from tests.golden.collect import assert_gradient, cases

SIZES = ('embed_dims', 'num_heads', 'mlp_ratios', 'depths', 'sr_ratios', 'linear', 'qkv_bias')


def build(golden, folder):
    config = golden.meta['config']
    version = config['kind'].removeprefix('pvt_')
    arch = {'version': version, **{key: config[key] for key in SIZES if key in config}}
    options = dict(img_size=config['img_size']) if version == 'v1' else {}
    torch.save(golden.tensors('weight'), folder / 'pvt.pth')
    encoder, _ = build_encoder(
        dict(type='PVT', arch=arch, checkpoint=str(folder / 'pvt.pth'), **options)
    )
    return encoder.train(golden.meta['mode'] == 'train')


@pytest.mark.parametrize('golden', cases('pvt', 'pvt_v1', 'pvt_v2'))
def test_maps_embeddings_and_gradients_equal_the_official_ones(golden, tmp_path):
    encoder = build(golden, tmp_path)
    embedded = {}
    for name, module in encoder.named_children():
        if name.startswith('patch_embed'):
            module.register_forward_hook(
                lambda m, args, out, name=name: embedded.update({name: out[0]})
            )
    image = golden.tensor('input.image').requires_grad_()
    maps = encoder(image)
    stages = {f'stage{i + 1}': x for i, x in enumerate(maps)}
    assert stages.keys() == golden.tensors('output').keys()
    assert_outputs(stages, golden)
    for name, expected in golden.tensors('output_extra').items():
        error = (embedded[name] - expected).abs().max()
        scale = max(golden.meta['tolerance']['output_max_abs'].values())
        assert error <= scale, f'{name}: {error} > {scale}'
    cotangents = golden.tensors('cotangent')
    sum((stages[name] * cotangents[name]).sum() for name in cotangents).backward()
    own = {name: p.grad for name, p in encoder.named_parameters()}
    own['input.image'] = image.grad
    for name, expected in golden.tensors('grad').items():
        assert_gradient(own[name], expected, name)
