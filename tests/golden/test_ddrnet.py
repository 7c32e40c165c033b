"""DDRNet in its three variants and its pyramid of pooled maps, against the official code."""

import pytest
from torch import nn

from rein_seg.encoders import convert_weights
from rein_seg.encoders.ddrnet import DAPPM, DualResNet
from rein_seg.encoders.ddrnet.blocks import norms
from rein_seg.heads import DDRNetHead
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.structures import Features
from tests.golden.collect import cases


class Whole(nn.Module):
    """Encoder and heads under the official names of the heads."""

    def __init__(self, config):
        super().__init__()
        norm_cfg = dict(type='BN', eps=config['bn_eps'], momentum=config['bn_momentum'])
        planes, spp = config['planes'], config['spp_planes']
        halves = 2 if config['variant'] == '39' else 1
        arch = dict(planes=planes, layers=config['layers'], spp_planes=spp, num_halves=halves)
        self.encoder = DualResNet(arch, norm_cfg=norm_cfg)
        classes = dict(num_classes=config['num_classes'], channels=config['head_planes'])
        head = dict(**classes, norm_cfg=norm_cfg)
        self.final_layer = DDRNetHead(4 * planes, in_index=0, **head)
        if config['augment']:
            self.seghead_extra = DDRNetHead(2 * planes, in_index=1, **head)
        guard_batch_norms(self)

    def load(self, weights):
        """Loads official tensors strictly, the encoder's through its key map."""
        converted = convert_weights(self.encoder, weights)
        self.encoder.load_state_dict(converted.tensors)
        heads = {n for n in weights if n.startswith(('final_layer.', 'seghead_extra.'))}
        assert set(converted.left_out) == heads
        for name in ('final_layer', 'seghead_extra'):
            own = {n[len(name) + 1 :]: weights[n] for n in heads if n.startswith(f'{name}.')}
            if own:
                getattr(self, name).load_state_dict(own)

    def forward(self, image):
        features, auxiliary = self.encoder(image)
        maps = Features((features, auxiliary))
        found = {'logits': self.final_layer(maps)}
        if hasattr(self, 'seghead_extra'):
            found['aux_logits'] = self.seghead_extra(maps)
        return found, {'features': features, 'aux_features': auxiliary}

    def tensor(self, name):
        """A parameter or buffer by its official name."""
        own = name if name.startswith(('final_layer', 'seghead_extra')) else f'encoder.{name}'
        return (
            self.get_parameter(own) if name.endswith(('weight', 'bias')) else self.get_buffer(own)
        )


def watch(encoder, names):
    """Returns a dict that a forward pass fills with the outputs of modules."""
    seen = {}
    for name in names:
        encoder.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.update({name: output.detach().clone()})
        )
    return seen


def check_outputs(golden, found):
    expected, limits = golden.tensors('output'), golden.meta['tolerance']['output_max_abs']
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert (found[name] - value).abs().max() <= limits[name], name


def check_gradients(golden, found, gradient):
    cotangents = golden.tensors('cotangent')
    sum((found[name] * value).sum() for name, value in cotangents.items()).backward()
    for name, value in golden.tensors('grad').items():
        error = (gradient(name) - value).abs().max()
        limit = golden.meta['tolerance']['gradient_relative'] * value.abs().max()
        assert error <= limit, f'{name}: {error} > {limit}'


@pytest.mark.parametrize('golden', cases('ddrnet', 'ddrnet'))
def test_outputs_layers_gradients_and_statistics(golden):
    model = Whole(golden.meta['config'])
    model.load(golden.tensors('weight'))
    model.train(golden.meta['mode'] == 'train')
    image = golden.tensors('input')['image'].requires_grad_()
    extra = golden.tensors('output_extra')
    layers = [n for n in extra if not n.startswith('after.') and not n.endswith('features')]
    seen = watch(model.encoder, layers)
    found, maps = model(image)
    check_outputs(golden, found)
    limit = max(golden.meta['tolerance']['output_max_abs'].values())
    for name, value in extra.items():
        if name.startswith('after.'):
            actual = model.tensor(name.removeprefix('after.')).double()
        else:
            actual = {**seen, **maps}[name].detach().double()
        assert (actual - value).abs().max() <= limit, name
    check_gradients(
        golden,
        found,
        lambda n: image.grad if n == 'input.image' else model.tensor(n).grad,
    )


@pytest.mark.parametrize('golden', cases('ddrnet', 'dappm'))
def test_the_pyramid_of_pooled_maps(golden):
    config = golden.meta['config']
    widths = (config[f'{name}_channels'] for name in ('in', 'branch', 'out'))
    module = DAPPM(*widths, norms(dict(type='BN', eps=config['bn_eps'])))
    module.load_state_dict(golden.tensors('weight'))
    module.train(golden.meta['mode'] == 'train')
    guard_batch_norms(module)
    x = golden.tensors('input')['x'].requires_grad_()
    found = {'out': module(x)}
    check_outputs(golden, found)
    check_gradients(
        golden, found, lambda n: x.grad if n == 'input.x' else module.get_parameter(n).grad
    )
