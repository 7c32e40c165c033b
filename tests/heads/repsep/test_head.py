"""The reconstruction as a head: on encoders, in results, and its refusals."""

import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads import RepSepHead
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.head_config import build_head
from rein_seg.registry import reconstructions
from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS, FOUR_MAPS

HEAD = dict(type='RepSepHead', channels=8, num_heads=2)
INPUTS = HeadInputs((6, 6, 6, 6), (8, 8, 8, 8), 3, embedding_dims=5)
PLAIN = ('vit', 'dinov2', 'clip', 'dinov3', 'eva02', 'sam')


def build(**options):
    torch.manual_seed(0)
    return build_head({**HEAD, **options}, INPUTS)


def features(height=4, width=7, batch=2):
    generator = torch.Generator().manual_seed(1)
    maps = [torch.randn(batch, 6, height, width, generator=generator) for _ in range(4)]
    embedding = torch.randn(batch, 5, height, width, generator=generator)
    return Features(maps=tuple(maps), embedding=embedding)


def segmentor(encoder, head=HEAD, **options):
    torch.manual_seed(0)
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen'))
    return MODELS.build(
        dict(type='PEFTSegmentor', backbone=backbone, decode_head=head, num_classes=3, **options)
    )


def samples(labels):
    meta = dict(ori_shape=labels.shape[1:], img_shape=labels.shape[1:])
    return [SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=one[None])) for one in labels]


def test_every_parameter_gets_a_gradient_and_every_input_counts():
    head, given = build(), features()
    inputs = (*given.maps, given.embedding)
    for each in inputs:
        each.requires_grad_()
    labels = torch.randint(0, 3, (2, 32, 56), generator=torch.Generator().manual_seed(2))
    losses = head.loss(given, labels)
    sum(value.sum() for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert all(each.grad.any() for each in inputs)
    assert head.predict(given, (33, 50)).shape == (2, 3, 33, 50)


def test_weights_of_the_losses():
    labels = torch.randint(0, 3, (2, 32, 56), generator=torch.Generator().manual_seed(2))
    one, other = build(), build(attention_weight=0.8, class_weight=0.1)
    first, second = (head.eval().loss(features(), labels) for head in (one, other))
    for key, factor in {'attention_bce': 2, 'attention_dice': 2, 'class': 0.5, 'ce': 1}.items():
        torch.testing.assert_close(second[f'loss_{key}'], factor * first[f'loss_{key}'])


@torch.no_grad()
def test_masks_follow_the_order_of_the_queries():
    head, given = build().eval(), features()
    masks = head(given)[0]
    order = [2, 0, 1]
    head.queries.copy_(head.queries[order].clone())
    torch.testing.assert_close(head(given)[0], masks[:, order])


def test_an_image_of_ignored_pixels_adds_nothing():
    head, given = build().eval(), features()
    labels = torch.zeros(2, 32, 56, dtype=torch.long)
    labels[1] = 255
    for each in given.maps:
        each.requires_grad_()
    losses = head.loss(given, labels)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(each.grad[0].any() and not each.grad[1].any() for each in given.maps)
    silent = head.loss(given, torch.full_like(labels, 255))
    assert all(value == 0 for key, value in silent.items() if 'loss' in key)


@pytest.mark.parametrize('name', PLAIN)
def test_it_trains_on_every_plain_encoder(name):
    model = segmentor(FOUR_MAPS[name]).train()
    labels = torch.randint(0, 3, (2, 32, 64))
    losses, _ = model.parse_losses(model.loss(torch.randn(2, 3, 32, 64), samples(labels)))
    losses.backward()
    assert all(
        p.grad.any() for n, p in model.named_parameters() if p.requires_grad and 'start' in n
    )
    twin = copy.deepcopy(model).eval()
    image = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(twin._forward(image)[0], model.eval()._forward(image)[0])
    assert twin.backbone._patches is not model.backbone._patches


def steps(**backbone):
    torch.manual_seed(0)
    cfg = dict(
        type='PEFTBackbone', encoder=FOUR_MAPS['vit'],
        peft=dict(type='LoRA', targets=['qkv', 'patch'], rank=2), **backbone,
    )  # fmt: skip
    model = MODELS.build(
        dict(type='PEFTSegmentor', backbone=cfg, decode_head=HEAD, num_classes=3)
    ).train()
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 3, 32, 64, generator=generator)
    labels = torch.randint(0, 3, (2, 32, 64), generator=generator)
    return model, lambda: model.parse_losses(model.loss(image, samples(labels)))[0]


def test_blocks_computed_again_give_the_same_step():
    (plain, first), (again, second) = steps(), steps(activation_checkpointing=True)
    loss, other = first(), second()
    torch.testing.assert_close(other, loss)
    loss.backward()
    other.backward()
    grads = {n: p.grad for n, p in plain.named_parameters() if p.requires_grad}
    assert grads
    for name, param in again.named_parameters():
        if param.requires_grad:
            torch.testing.assert_close(param.grad, grads[name], rtol=1e-4, atol=1e-6)


def test_the_embedding_carries_a_methods_change_and_its_gradient():
    model, loss = steps()
    loss().backward()
    patches = [p for n, p in model.named_parameters() if 'patch' in n and p.requires_grad]
    assert patches and any(p.grad.any() for p in patches)


def test_it_steps_in_half_precision():
    model, loss = steps()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss()
    value.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def test_the_embedding_is_without_positions():
    model = segmentor(FOUR_MAPS['vit']).eval()
    backbone, image = model.backbone, torch.randn(1, 3, 32, 64)
    expected = backbone.encoder.patch_embed.projection(image)
    torch.testing.assert_close(backbone(image).embedding, expected, rtol=0, atol=0)
    backbone.encoder.pos_embed.add_(1.0)
    torch.testing.assert_close(backbone(image).embedding, expected, rtol=0, atol=0)
    assert backbone.embedding_dims == 32


@torch.no_grad()
def test_no_other_head_pays_for_the_embedding():
    model = segmentor(FOUR_MAPS['vit'], dict(type='LinearHead'))
    assert not model.backbone.keeps_embedding
    assert model.backbone(torch.randn(1, 3, 32, 64)).embedding is None


@pytest.mark.parametrize('name', ['swin', 'convnext', 'resnet'])
def test_encoders_with_stages_are_refused(name):
    with pytest.raises(UserError, match='RepSepHead reads all blocks of a plain.*has stages'):
        segmentor(FOUR_MAPS[name])


def test_a_neck_is_refused():
    neck = dict(type='TokenPyramid', out_channels=8)
    with pytest.raises(UserError, match='got maps behind a neck, expected maps of one size'):
        segmentor(FOUR_MAPS['vit'], neck=neck)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(num_heads=3), 'channels=8, num_heads=3: expected a multiple.*such as 9'),
        (dict(out_channels=1), 'out_channels=1: it has a query for each class'),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(UserError, match=words):
        build(**options)


def test_other_features_are_refused():
    with pytest.raises(UserError, match=r'got a patch embedding of None and maps of \[\(4, 7\)'):
        build()(Features(maps=features().maps))


def test_a_reconstruction_is_named():
    assert 'reconstruction' in RepSepHead.__doc__
    found = reconstructions(segmentor(ENCODERS['vit']))
    assert list(found) == ['RepSepHead'] and found['RepSepHead'].startswith('RepSepStyle')
    assert reconstructions(nn.Linear(2, 2)) == {}
