"""PMT against the official code: its decoder alone, and whole models in evaluation and training."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.heads import PMTHead
from rein_seg.structures import Features
from tests.golden.collect import assert_gradient, cases
from tests.golden.mask_encoders import encoder_config, grid_of, normalised


def build(config, levels, **options):
    hidden = config['hidden_dim'] or 4 * config['dim']
    lateral = config['lateral_projection']
    options = {'encoder_heads': config['heads'], **options}
    head = PMTHead(
        [config['dim']] * levels,
        in_strides=[config['patch']] * levels,
        num_classes=config['num_classes'],
        num_queries=config['num_q'],
        num_blocks=config['num_blocks'],
        feedforward_channels=hidden,
        lateral_projection=lateral if lateral in ('mlp', 'linear') else 'identity',
        residual_projection=config['residual_projection'],
        masked_attention=config['masked_attn_enabled'],
        **options,
    )
    head.train()  # a block without a mask predicts, too, as officially
    return head


class Stored:
    """Gives the random numbers of the official run."""

    def __init__(self, inputs):
        self.inputs = inputs

    def uniform(self, block, batch, queries, device):
        found = self.inputs[f'draw.{block}']
        assert found.shape == (batch, queries)
        return found

    def factor(self, largest, device):
        assert largest == 2
        return self.inputs['rope_rescale']


def give_draws(head, golden):
    head.mask_draws = head.scale_draws = Stored(golden.tensors('input'))


def split(tokens, prefix, grid):
    """(B, P+N, C) -> (B, C, H, W) patches and (B, P, C) prefix."""
    return tokens[:, prefix:].transpose(1, 2).unflatten(2, grid), tokens[:, :prefix]


def check(golden, predictions, named):
    """Compares predictions and gradients; named: official name -> tensor with a gradient."""
    classes, masks = predictions
    outputs, tolerance = golden.tensors('output'), golden.meta['tolerance']['output_max_abs']
    assert len(outputs) == len(classes) + len(masks)
    found = {f'class_logits.{i}': x for i, x in enumerate(classes)}
    found |= {f'mask_logits.{i}': x for i, x in enumerate(masks)}
    for name, expected in outputs.items():
        error = (found[name] - expected).abs().max().item()
        assert error <= tolerance[name], f'{name}: {error} of {tolerance[name]}'
    sum((found[name] * x).sum() for name, x in golden.tensors('cotangent').items()).backward()
    gradients = golden.tensors('grad')
    assert set(gradients) == set(golden.meta['checks']['gradients_of'])
    for name, expected in gradients.items():
        assert_gradient(named[name].grad, expected, name)


@pytest.mark.parametrize('golden', cases('pmt', 'pmt_decoder'))
def test_decoder_equals_the_official_one(golden):
    config, inputs = golden.meta['config'], golden.tensors('input')
    levels = config['levels']
    head = build(config, levels, lateral_bn=False, rescale_coords=1.0)
    head.load_state_dict(golden.tensors('weight'), strict=True)
    give_draws(head, golden)
    given = [inputs[f'features.{i}'].requires_grad_() for i in range(levels)]
    maps, prefix = zip(*(split(x, config['prefix'], grid_of(config)) for x in given), strict=True)
    features = Features(tuple(maps), prefix=tuple(prefix))
    fused, _ = head.fuse(features)
    torch.testing.assert_close(fused, golden.tensor('output_extra.fused'), rtol=1e-5, atol=1e-5)
    named = {f'input.features.{i}': x for i, x in enumerate(given)}
    check(golden, head(features), {**dict(head.named_parameters()), **named})


def build_model(golden, folder):
    config, weights = golden.meta['config'], golden.tensors('weight')
    layers = config['interaction_indices']
    encoder = encoder_config(config, weights, folder, out_indices=layers)
    backbone = MODELS.build(dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen')))
    backbone.keep_prefix()
    anatomy = backbone.anatomy
    assert anatomy.num_heads == config['heads']
    head = build(
        config, len(layers), lateral_bn=config['lateral_bn'], encoder_rotary=anatomy.rotary
    )
    own = {k: v for k, v in weights.items() if not k.startswith('encoder.')}
    head.load_state_dict({k.removeprefix('decoder.'): v for k, v in own.items()}, strict=True)
    give_draws(head, golden)
    return backbone, head


@pytest.mark.parametrize('golden', cases('pmt', 'pmt'))
def test_model_equals_the_official_one(golden, tmp_path):
    config = golden.meta['config']
    backbone, head = build_model(golden, tmp_path)
    if not config['train']:
        head.bn.eval()
        head.rescale_coords = 1.0
    backbone.train()  # the frozen encoder stays in eval mode
    features = backbone(normalised(golden.tensor('input.image')))
    assert not any(x.requires_grad for x in (*features.maps, *features.prefix))
    compare_levels(golden, head, features)
    named = {
        f'decoder.{name}' if name.split('.')[0] != 'bn' else name: param
        for name, param in head.named_parameters()
    }
    check(golden, head(features), named)
    after = {k: v for k, v in golden.tensors('output_extra').items() if k.startswith('bn.')}
    assert bool(after) == (config['train'] and config['lateral_bn'])
    state = head.state_dict()
    for name, expected in after.items():
        torch.testing.assert_close(state[name], expected, rtol=1e-5, atol=1e-6)


def compare_levels(golden, head, features):
    """Compares what enters the decoder; keeps running statistics as they are."""
    state = {name: value.clone() for name, value in head.bn.state_dict().items()}
    for level, (patches, prefix) in enumerate(zip(features.maps, features.prefix, strict=True)):
        tokens = torch.cat((prefix, patches.flatten(2).transpose(1, 2)), dim=1)
        normed = head.bn[level](tokens.transpose(1, 2)).transpose(1, 2)
        expected = golden.tensor(f'output_extra.features.{level}')
        torch.testing.assert_close(normed, expected, rtol=1e-4, atol=1e-5)
    head.bn.load_state_dict(state)
