"""Files in the official layouts of EoMT and PMT: what they hold computes the official outputs."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_checkpoint
from tests.golden.collect import cases
from tests.golden.mask_encoders import encoder_config, normalised

NORMALISED = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))


class Stored:
    """Gives the random numbers of the official run."""

    def __init__(self, inputs):
        self.inputs = inputs

    def uniform(self, block, batch, queries, device):
        return self.inputs[f'draw.{block}']

    def factor(self, largest, device):
        return self.inputs['rope_rescale']


def segmentor(golden, encoder, peft, head):
    config = golden.meta['config']
    shared = dict(
        num_queries=config['num_q'],
        num_blocks=config['num_blocks'],
        masked_attention=config['masked_attn_enabled'],
    )
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type=peft)),
            decode_head={**shared, **head},
            num_classes=config['num_classes'],
        )
    )
    model.decode_head.mask_draws = model.decode_head.scale_draws = Stored(golden.tensors('input'))
    return model


def load(golden, model, weights):
    state = {f'network.{name}': tensor for name, tensor in weights.items()}
    return load_checkpoint(state, model, source='official.bin')


def assert_official(golden, model):
    """Compares every prediction; a block without a mask predicts in training mode alone."""
    with torch.no_grad():
        classes, masks = model.decode_head(model.backbone(normalised(golden.tensor('input.image'))))
    found = {f'class_logits.{i}': x for i, x in enumerate(classes)}
    found |= {f'mask_logits.{i}': x for i, x in enumerate(masks)}
    outputs, tolerance = golden.tensors('output'), golden.meta['tolerance']['output_max_abs']
    assert found.keys() == outputs.keys()
    for name, expected in outputs.items():
        assert (found[name] - expected).abs().max() <= tolerance[name], name


@pytest.mark.parametrize('golden', cases('eomt', 'eomt'))
def test_a_file_of_eomt_gives_the_official_outputs(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    encoder = {**encoder_config(config, weights, tmp_path), **NORMALISED}
    frozen = config['frozen_encoder']
    if not frozen:  # other weights, which the file replaces
        encoder.pop('checkpoint')
        encoder['init_seed'] = 0
    model = segmentor(golden, encoder, 'Frozen' if frozen else 'Full', dict(type='EoMTHead'))
    report = load(golden, model, weights)
    assert '0 unexpected; left out: network.encoder.pixel_mean' in report
    model.train()
    assert_official(golden, model)


@pytest.mark.parametrize('golden', cases('pmt', 'pmt'))
def test_a_file_of_pmt_gives_the_official_outputs(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    layers = config['interaction_indices']
    encoder = {**encoder_config(config, weights, tmp_path, out_indices=layers), **NORMALISED}
    head = dict(
        type='PMTHead',
        feedforward_channels=config['hidden_dim'],
        lateral_projection=config['lateral_projection'],
        lateral_bn=config['lateral_bn'],
    )
    model = segmentor(golden, encoder, 'Frozen', head)
    own = {name: x for name, x in weights.items() if not name.startswith('encoder.')}
    report = load(golden, model, own)  # as published: without the encoder
    assert 'does not say which encoder it was trained on' in report
    model.train()
    if not config['train']:
        model.decode_head.bn.eval()
        model.decode_head.rescale_coords = 1.0
    assert_official(golden, model)
