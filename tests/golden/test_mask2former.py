"""The Mask2Former head against the official one: every layer and prediction."""

import contextlib

import pytest
import torch

from rein_seg.fast.dispatch import without
from rein_seg.heads import Mask2FormerHead
from rein_seg.structures import Features
from tests.golden.collect import assert_near, cases

HEADS = cases('mask2former', 'head') + cases('rein', 'reinhead')


@pytest.fixture(params=['fast', 'plain'], autouse=True)
def _form(request):
    with contextlib.nullcontext() if request.param == 'fast' else without():
        yield


def build_head(config, *, linked, **options):
    """Builds our head from the short names of the official config."""
    return Mask2FormerHead(
        config['in_channels'],
        num_classes=config.get('classes', 2),
        feat_channels=config['feat'],
        num_queries=config.get('queries', 1),
        query_dims=config['feat'] if linked else None,
        content_from_queries=config.get('replace_query_feat', True),
        num_heads=config['heads'],
        encoder_layers=config['enc_layers'],
        decoder_layers=config.get('dec_layers', 1),
        encoder_hidden=config['enc_ffn'],
        decoder_hidden=config.get('dec_ffn', 8),
        num_points=config['points'],
        norm_groups=config['groups'],
        project_inputs=config.get('enforce_proj', False),
        **options,
    ).eval()


def given(golden):
    inputs, levels = golden.tensors('input'), len(golden.meta['config']['in_channels'])
    maps = tuple(inputs[f'feat{i}'] for i in range(levels))
    return Features(maps, inputs.get('query'))


@pytest.mark.parametrize('golden', HEADS)
@torch.no_grad()
def test_head_equals_the_official_one_in_every_layer(golden):
    features, outputs = given(golden), golden.tensors('output')
    head = build_head(golden.meta['config'], linked=features.queries is not None)
    head.load_state_dict(golden.tensors('weight'), strict=True)
    classes, masks = head(features)
    assert len(classes) == golden.meta['config']['dec_layers'] + 1
    for layer in range(len(classes)):
        assert_near(classes[layer], outputs[f'cls_pred.{layer}'], f'cls_pred.{layer}')
        assert_near(masks[layer], outputs[f'mask_pred.{layer}'], f'mask_pred.{layer}')
    size = outputs['predict'].shape[-2:]
    predicted = head.predict(features, tuple(size))
    assert_near(predicted, outputs['predict'], 'predict')


@pytest.mark.parametrize('golden', cases('mask2former', 'pixel'))
@torch.no_grad()
def test_pixel_decoder_equals_the_official_one(golden):
    decoder = build_head(golden.meta['config'], linked=False).pixel_decoder
    decoder.load_state_dict(golden.tensors('weight'), strict=True)
    outputs = golden.tensors('output')
    pixels, memory = decoder(given(golden).maps, (1, 1, 1, 1))
    assert_near(pixels, outputs['mask_feature'], 'mask_feature')
    for level, x in enumerate(memory):
        assert_near(x, outputs[f'multi_scale.{level}'], f'multi_scale.{level}')
