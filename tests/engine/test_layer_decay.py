"""Rates that fall from block to block: of the encoder, of methods, at the options' limits."""

import pytest
from torch import nn

from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from tests.engine.optimizers import build, hyper, model

LR = 0.1  # of tests.engine.optimizers
NORM = {'Full': 'encoder.ln1.', 'SSF': '.layers.ln1.', 'BitFit': 'params.ln1_'}


def rates(peft, **options):
    """Returns name -> rate over the base rate, of a ViT of three blocks."""
    module = model(peft)
    assert module.backbone.anatomy.num_blocks == 3
    found = hyper(module, build(module, layer_decay=dict(factor=0.5, **options)))
    return {name: pytest.approx(rate / LR) for name, (rate, _) in found.items()}


def test_blocks_of_an_encoder_that_trains():
    found = rates(dict(type='Full'))
    encoder = 'backbone.encoder'
    assert found[f'{encoder}.layers.0.attn.qkv.weight'] == 0.25
    assert found[f'{encoder}.layers.1.ln1.bias'] == 0.5
    assert found[f'{encoder}.layers.2.ffn.layers.1.weight'] == 1
    for name in ('cls_token', 'pos_embed', 'patch_embed.projection.weight'):
        assert found[f'{encoder}.{name}'] == 0.25
    assert found['decode_head.conv_seg.weight'] == 1


def test_the_last_blocks_may_keep_the_rate():
    found = rates(dict(type='Full'), full_blocks=2)
    values = [found[f'backbone.encoder.layers.{i}.ln1.weight'] for i in range(3)]
    assert values == [0.25, 1, 1]
    assert found['backbone.encoder.pos_embed'] == 0.25


@pytest.mark.parametrize('method', ['LoRA', 'BitFit', 'SSF', 'Adapter', 'DoRA'])
def test_a_method_s_parameters_count_as_their_block(method):
    found = rates(dict(type=method))
    for block in range(3):
        marks = (f'.layers_{block}_', f'.ffn_{block}.')
        own = [rate for name, rate in found.items() if any(mark in name for mark in marks)]
        assert own and all(rate == 0.5 ** (2 - block) for rate in own), block


def test_methods_together_keep_their_blocks():
    found = rates([dict(type='LoRA', rank=2, blocks=[0]), dict(type='BitFit', blocks=[1])])
    first, second = (
        [rate for name, rate in found.items() if f'.methods.{i}.' in name] for i in (0, 1)
    )
    assert first and all(rate == 0.25 for rate in first)
    assert second and all(rate == 0.5 for rate in second)


def test_parameters_of_all_blocks_have_the_rate_of_the_last():
    found = rates(dict(type='Rein', num_tokens=5, rank=2, query_dims=8))
    assert all(rate == 1 for rate in found.values())


@pytest.mark.parametrize('method', ['Full', 'SSF', 'BitFit'])
def test_the_norm_behind_the_blocks_keeps_the_rate(method):
    module = nn.Module()
    encoder = dict(type='TinyViT', final_norm=True, init_seed=0)
    module.backbone = PEFTBackbone(encoder, dict(type=method))
    found = hyper(module, build(module, layer_decay=dict(factor=0.5)))
    kept = {name: rate for name, (rate, _) in found.items() if NORM[method] in name}
    assert kept and all(rate == LR for rate in kept.values()), kept
    first = {rate for name, (rate, _) in found.items() if 'layers' in name and '0' in name}
    assert min(first) == pytest.approx(LR * 0.5**7)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(factor=0), r'layer_decay.factor=0: expected a number above 0, at most 1'),
        (dict(factor=1.5), r'layer_decay.factor=1.5: expected a number above 0'),
        (dict(factor=0.5, full_blocks=4), r'full_blocks=4: expected 0 to 3'),
        (dict(factor=0.5, full_blocks=-1), r'full_blocks=-1: expected 0 to 3'),
        (dict(full_blocks=1), r"layer_decay=\{'full_blocks': 1\}: expected factor"),
        (dict(factor=0.5, blocks=1), 'expected factor, and full_blocks where wanted'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UserError, match=message):
        build(model(dict(type='Full')), layer_decay=options)


def test_a_model_without_an_encoder():
    with pytest.raises(UserError, match='Linear has no encoder with blocks; leave it out'):
        build(nn.Linear(2, 2), layer_decay=dict(factor=0.5))
