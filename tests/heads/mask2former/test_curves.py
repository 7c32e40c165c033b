"""Fifty training steps with each optimisation on and off: the losses agree within float noise.

What is switched off runs as officially (`rein_seg/bench/speed/official.py`). Both are without the
choices that turn noise into steps of a thousandth: masks of attention (a threshold), matching and
uncertain points (ranks).
"""

import functools

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rein_seg.bench.speed.official import OFFICIAL, officially
from rein_seg.engine.optim import TrainableOptimConstructor
from rein_seg.fast import onednn_matmul as products
from rein_seg.fast import winograd
from rein_seg.heads.mask2former import head, losses
from tests.encoders.tiny import VIT
from tests.heads.mask2former.test_head import TINY

STEPS = 50


def segmentor():
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(
                type='PEFTBackbone',
                encoder={
                    **VIT,
                    'arch': {**VIT['arch'], 'num_layers': 4},
                    'out_indices': [0, 1, 2, 3],
                },
                peft=dict(type='Rein', num_tokens=5, rank=2, query_dims=16),
            ),
            decode_head=dict(
                type='Mask2FormerHead',
                **{**TINY, 'loss': dict(num_points=200, uncertain_share=0.0), 'num_classes': 4},
            ),
            num_classes=4,
        )
    ).train()


def batch(step):
    generator = torch.Generator().manual_seed(step)
    coarse = torch.randint(0, 5, (2, 1, 4, 6), generator=generator)
    labels = coarse.repeat_interleave(16, 2).repeat_interleave(16, 3)
    labels[labels == 4] = 255
    images = torch.randn(2, 3, 64, 96, generator=generator) + labels % 7
    return images, [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def look_everywhere(embeds, small):
    batch, queries = embeds.bias.shape
    return torch.ones(batch, 1, queries, small.shape[-1], dtype=torch.bool)


def curve(optimizer=None, amp=False, official=()):
    model = segmentor()
    cfg = dict(optimizer={'type': 'AdamW', 'lr': 2e-3, 'weight_decay': 0.05, **(optimizer or {})})
    wrapper = TrainableOptimConstructor(cfg)(model)
    values = []
    for step in range(STEPS):
        torch.manual_seed(step)
        with (
            torch.autocast('cpu', dtype=torch.bfloat16, enabled=amp),
            officially(official, model=model),
        ):
            each = model.loss(*batch(step))
        total = sum(value for name, value in each.items() if 'loss' in name)
        values.append(total.item())
        wrapper.update_params(total)
    return torch.tensor(values)


def match_in_order(costs):
    return np.arange(costs.shape[1]), np.arange(costs.shape[1])


@pytest.fixture(autouse=True)
def without_choices(monkeypatch):
    monkeypatch.setattr(head, 'attention_mask', look_everywhere)
    monkeypatch.setattr(losses, 'linear_sum_assignment', match_in_order)


ours = functools.cache(curve)


def test_the_curve_falls():
    assert ours()[-5:].mean() < 0.85 * ours()[0]


def test_losses_do_not_depend_on_the_products_of_winograd(monkeypatch):
    """These maps are too small for them, so here they are switched on."""
    expected = ours()
    monkeypatch.setattr(winograd, 'pays', lambda x, weight: True)
    torch.testing.assert_close(curve(), expected, rtol=1e-5, atol=0)


@pytest.mark.skipif(not products.works(), reason='PyTorch without oneDNN')
def test_losses_do_not_depend_on_the_products_of_onednn(monkeypatch):
    """These are too small for it, so here all are large enough."""
    expected = ours()
    monkeypatch.setattr(products, '_FEWEST', 0)
    monkeypatch.setattr(products, '_NARROWEST', 1)
    with products.onednn(True):
        found = curve()
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


# choices, predictions, or of no effect on results: tests/bench/speed/test_official.py
ELSEWHERE = {
    "PyTorch's own products",
    'attention masks at full size',
    'costs one by one',
    'every prediction at full size',
    'freed memory given back',
}


@pytest.mark.parametrize('name', [name for name in OFFICIAL if name not in ELSEWHERE])
def test_losses_do_not_depend_on(name):
    expected = ours()
    # sampling starts on centres of pixels, where noise decides which side's slope is taken
    tolerance = 5e-4 if name == 'sampling level by level' else 1e-5
    torch.testing.assert_close(curve(official=[name]), expected, rtol=tolerance, atol=0)


def test_losses_do_not_depend_on_the_fused_optimizer():
    torch.testing.assert_close(curve(optimizer=dict(foreach=False)), ours(), rtol=1e-5, atol=0)


def test_bfloat16_stays_within_a_percent():
    """On average: single steps of the two drift apart."""
    ratio = curve(amp=True).mean() / ours().mean()
    assert abs(ratio - 1) < 0.01
