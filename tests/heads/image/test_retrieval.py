"""Tests of the retrieval head."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads.image import RetrievalHead
from rein_seg.heads.image.awareness import AwarenessBlock
from rein_seg.structures import Features

BACKBONE = dict(
    type='PEFTBackbone', encoder=dict(type='TinyViT', init_seed=0), peft=dict(type='LoRA', rank=2)
)


def features(channels=16, side=4):
    generator = torch.Generator().manual_seed(0)
    return Features(maps=(torch.randn(3, channels, side, side, generator=generator),))


def test_the_plain_form_is_the_mean_of_the_map():
    head, seen = RetrievalHead([16], 5, awareness=False), features()
    mean = seen.maps[0].mean((2, 3))
    assert torch.equal(head.predict(seen), mean)
    assert torch.equal(head(seen), mean @ head.classify.weight.T)
    assert sum(p.numel() for p in head.parameters()) == 5 * 16


def test_parameters_of_the_published_forms():
    paper = RetrievalHead([2048], 100)
    assert sum(p.numel() for p in paper.mam.parameters()) == 2 * 2048 * 256
    assert paper.classify.weight.numel() == 204_800
    official = RetrievalHead([2048], 100, form='repository')
    parts = (official.mam, official.conv_block3)
    total = sum(p.numel() for part in parts for p in part.parameters())
    assert total == pytest.approx(29.37e6, rel=1e-3)


def test_the_repository_s_embedding_is_behind_the_batch_norm():
    head, seen = RetrievalHead([16], 5, form='repository').train(), features()
    embedding = head.predict(seen)
    assert torch.allclose(embedding.mean(0), torch.zeros(16), atol=1e-5)
    assert not head.neck.bias.requires_grad and head.neck.weight.requires_grad
    assert torch.equal(head.classify(embedding), head(seen))


@pytest.mark.parametrize('form', ['paper', 'repository'])
def test_loss_is_the_smoothed_cross_entropy(form):
    head, seen, labels = (
        RetrievalHead([16], 5, form=form, label_smoothing=0.3),
        features(),
        [4, 0, 4],
    )
    labels = torch.tensor(labels)
    loss = head.loss(seen, labels)['loss_ce']
    logp = head(seen).log_softmax(1)
    smooth = 0.7 * F.one_hot(labels, 5) + 0.3 / 5
    assert torch.allclose(loss, -(smooth * logp).sum(1).mean())
    loss.backward()
    assert all(p.grad is not None for p in head.parameters() if p.requires_grad)


def test_a_map_of_a_single_place_works():
    assert torch.isfinite(RetrievalHead([16], 5).predict(features(side=1))).all()


def test_a_gate_of_one_keeps_the_map_and_of_zero_normalises_it():
    block, x = AwarenessBlock(8, reduction=2), features(8).maps[0].abs()
    torch.nn.init.constant_(block.channel_attention[0].weight, 100.0)
    torch.nn.init.constant_(block.channel_attention[2].weight, 100.0)
    assert torch.allclose(block(x), x)
    torch.nn.init.constant_(block.channel_attention[2].weight, -100.0)
    assert torch.allclose(block(x), F.instance_norm(x), atol=1e-5)


def test_reduction_must_divide_the_channels():
    with pytest.raises(UserError, match='reduction=5: expected a divisor of the 16 channels'):
        RetrievalHead([16], 5, reduction=5)


def test_a_model_predicts_embeddings():
    head = dict(type='RetrievalHead', reduction=4)
    config = dict(type='PEFTImageModel', backbone=BACKBONE, num_classes=3, head=head)
    model, images = MODELS.build(config).eval(), torch.randn(2, 3, 32, 48)
    samples = model.predict(images)
    expected = model.head.embed(model.backbone(images))
    assert torch.allclose(torch.stack([one.embedding for one in samples]), expected)
    labelled = [DataSample().set_gt_label(label) for label in (2, 0)]
    assert list(model(images, labelled, mode='loss')) == ['head.loss_ce']
