"""HLG's layers, encoder and head, under official names, against the repaired official code.

The sidecar says which behaviour is meant: the official one, or the authors' intent.
"""

import pytest
import torch

from rein_seg.encoders import build_encoder
from rein_seg.encoders.hlg.layer import GlobalLayer, LocalToGlobalLayer
from rein_seg.heads import HLGHead
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.structures import Features, RunState
from tests.golden.blocks import assert_outputs
from tests.golden.collect import cases


def prepared(module, golden):
    """In the mode of the sidecar, with gradients that batch norms on CPUs get right."""
    guard_batch_norms(module)
    return module.requires_grad_().train(golden.meta['mode'] == 'train')


def layer(config):
    state = RunState(grid=tuple(config['grid']))
    sizes = (config['input_dim'], config['dim'], config['num_heads'])
    options = dict(down=config['down_sample'], qkv_bias=config['qkv_bias'], state=state)
    if config['last_stage']:
        return GlobalLayer(*sizes, **options)
    windowed = {key: config[key] for key in ('dilated', 'behaviour', 'window_size')}
    return LocalToGlobalLayer(*sizes, **windowed, **options)


def watch(module, found):
    """Notes the intermediate results that sidecars store."""
    for name in ('local_attn', 'h0_norm', 'global_attn'):
        if name in module._modules:
            note = lambda _, args, output, name=name: found.__setitem__(name, output)  # noqa: E731
            module.get_submodule(name).register_forward_hook(note)


def check_gradients(golden, own, module, inputs):
    """Compares with the gradients of the sidecar, if it has any, within its tolerance."""
    grads, cotangents = golden.tensors('grad'), golden.tensors('cotangent')
    if not grads:
        return
    sum((own[name] * cotangents[name]).sum() for name in cotangents).backward()
    params = {**dict(module.named_parameters()), **{f'input.{k}': v for k, v in inputs.items()}}
    for name, expected in grads.items():
        error = (params[name].grad - expected).abs().max()
        limit = golden.meta['tolerance']['gradient_relative'] * expected.abs().max()
        assert error <= limit, f'{name}: {error} > {limit}'


@pytest.mark.parametrize('golden', cases('hlg', 'hlg_layer'))
def test_layer_equals_the_official_one(golden):
    module, found = layer(golden.meta['config']), {}
    module.load_state_dict(golden.tensors('weight'), strict=True)
    prepared(module, golden)
    watch(module, found)
    inputs = {name: x.requires_grad_() for name, x in golden.tensors('input').items()}
    own = {'tokens': module(inputs['tokens'])}
    assert_outputs(own, golden)
    for name, expected in golden.tensors('output_extra').items():
        error = (found[name].reshape(expected.shape) - expected).abs().max()
        assert error <= 1e-5 * expected.abs().max(), name
    check_gradients(golden, own, module, inputs)


@pytest.mark.parametrize('golden', cases('hlg', 'hlg_backbone'))
def test_encoder_equals_the_official_one(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in weights.items()}}, tmp_path / 'h.pth')
    cfg = dict(
        type='HLGTransformer',
        arch={key: config[key] for key in ('embed_dims', 'depths', 'num_heads')},
        checkpoint=str(tmp_path / 'h.pth'),
        **{key: config[key] for key in ('behaviour', 'window_size', 'qkv_bias')},
    )
    encoder = prepared(build_encoder(cfg)[0], golden)
    image, scale = golden.tensors('input')['image'], config.get('normalise')
    if scale is not None:
        mean, std = (torch.tensor(scale[key]).view(-1, 1, 1) for key in ('mean', 'std'))
        image = (image.float() - mean) / std
    own = {f'stage{i}': x for i, x in enumerate(encoder(image.requires_grad_()), start=1)}
    assert_outputs(own, golden)
    check_gradients(golden, own, encoder, {'image': image})


@pytest.mark.parametrize('golden', cases('hlg', 'hlg_head'))
def test_head_equals_the_official_one(golden):
    config = golden.meta['config']
    options = ('channels', 'interval', 'depth', 'num_heads', 'window_size', 'mlp_ratio')
    head = HLGHead(
        config['in_channels'],
        in_index=range(len(config['in_channels'])),
        num_classes=config['num_classes'],
        behaviour=config['behaviour'],
        **{key: config[key] for key in options},
    )
    head.load_state_dict(golden.tensors('weight'), strict=True)
    prepared(head, golden)
    inputs = {name: x.requires_grad_() for name, x in sorted(golden.tensors('input').items())}
    size = tuple(4 * side for side in config['size'])
    own = {'logits': head.predict(Features(tuple(inputs.values())), size)}
    assert_outputs(own, golden)
    check_gradients(golden, own, head, inputs)
