"""Tests of the model of whole images."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.structures import DataSample
from mmseg.registry import MODELS

from rein_seg.errors import UserError

BACKBONE = dict(
    type='PEFTBackbone', encoder=dict(type='TinyViT', init_seed=0), peft=dict(type='LoRA', rank=2)
)


def build(**options):
    config = dict(type='PEFTImageModel', backbone=BACKBONE, num_classes=3)
    return MODELS.build({**config, 'head': dict(type='LinearImageHead'), **options})


def test_scores_are_the_softmax_of_the_head_on_the_mean_of_the_last_map():
    model, images = build().eval(), torch.randn(2, 3, 32, 48)
    samples = model.predict(images)
    mean = model.backbone(images).maps[-1].mean((2, 3))
    expected = torch.softmax(model.head.classify(mean), 1)
    assert torch.allclose(torch.stack([one.pred_score for one in samples]), expected)
    assert [int(one.pred_label) for one in samples] == expected.argmax(1).tolist()


def test_loss_is_the_cross_entropy_and_trains_method_and_head_alone():
    model, images = build(), torch.randn(2, 3, 32, 32)
    samples = [DataSample().set_gt_label(label) for label in (2, 0)]
    losses = model(images, samples, mode='loss')
    logits = model(images)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([2, 0]))
    assert torch.allclose(losses['head.loss_ce'], expected)
    losses['head.loss_ce'].backward()
    trained = {n.split('.')[0] for n, p in model.named_parameters() if p.grad is not None}
    assert trained == {'backbone', 'head'}
    assert not any(n.startswith('backbone.encoder') for n in model.adapter_state())


def test_a_head_of_pixels_is_refused():
    with pytest.raises(UserError, match='LinearHead is no head for whole images'):
        build(head=dict(type='LinearHead'))
