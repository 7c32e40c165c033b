"""DenseCLIP's neck: what it adds to the words and to the maps, where, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.neck_config import build_neck
from rein_seg.necks import PixelTextNeck
from rein_seg.necks.pixel_text.neck import score_map
from rein_seg.structures import Features
from tests.models.tiny import samples

CHANNELS, STRIDES, CLASSES, DIMS = (8, 8, 16, 16), (4, 8, 16, 32), 4, 12
DECODER = dict(embed_dims=8, num_heads=2, num_layers=2)
ENCODER = dict(
    type='TinyCLIP',
    arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
    img_size=32,
    patch_size=8,
    out_indices=[0, 1, 2, 3],
    joint_dims=DIMS,
    init_seed=0,
)
NECK = dict(type='PixelTextNeck', factors=(4, 2, 1, 0.5), out_channels=8, **DECODER)
FROZEN = dict(
    type='PEFTBackbone', encoder=dict(type='TinyViT', init_seed=0), peft=dict(type='Frozen')
)
TABLE = dict(type='ClassTable', classes=['road', 'sky', 'car', 'bus'], dims=DIMS)


def build(channels=CHANNELS, strides=STRIDES, **options):
    torch.manual_seed(0)
    sizes = dict(num_classes=CLASSES, joint_dims=DIMS, text_dims=DIMS)
    return PixelTextNeck(channels, strides, **{**sizes, **DECODER, **options})


def draw(channels=CHANNELS, strides=STRIDES, side=64, dense=2):
    torch.manual_seed(1)
    maps = [
        torch.randn(2, c, side // s, 2 * side // s) for c, s in zip(channels, strides, strict=True)
    ]
    joint = torch.randn(2, DIMS), torch.randn(2, DIMS, dense, 2 * dense)
    return Features(tuple(maps), joint=joint, text=torch.randn(CLASSES, DIMS))


def test_words_move_by_gamma_times_what_the_decoder_saw():
    neck, features = build(gamma=0.5).eval(), draw()
    whole, dense = features.joint
    tokens = torch.cat((whole[:, None], dense.flatten(2).mT), 1)  # the global one is first
    words = features.text.expand(2, -1, -1)
    found = neck(features)
    expected = words + 0.5 * neck.context_decoder(words, tokens)
    torch.testing.assert_close(found.text, expected)
    similar = F.cosine_similarity(dense[:, None], expected[..., None, None], dim=2)
    torch.testing.assert_close(found.scores, similar)
    assert found.joint is features.joint
    assert build().gamma.tolist() == pytest.approx([1e-4] * DIMS)


def test_words_of_each_image_are_taken_as_they_are():
    neck, features = build().eval(), draw()
    own = torch.stack([features.text, features.text.flip(0)])
    both = neck.update(own, features.joint)
    alone = neck.update(own[1], tuple(x[1:] for x in features.joint))
    torch.testing.assert_close(both[1:], alone)


def test_scores_have_no_temperature_and_no_length():
    dense, text = torch.randn(1, 4, 2, 3), torch.randn(1, 5, 4)
    torch.testing.assert_close(score_map(3 * dense, 7 * text), score_map(dense, text))
    assert score_map(dense, dense.flatten(2).mT)[0, 0, 0, 0] == pytest.approx(1)


def test_scores_stand_behind_the_channels_of_the_last_map_of_a_resnet():
    neck, features = build(), draw()
    assert [conv.conv.in_channels for conv in neck.fpn.lateral_convs] == [8, 8, 16, 16 + CLASSES]
    scores = torch.randn(2, CLASSES, 2, 4)
    joined = neck.join(features.maps, scores)
    assert all(torch.equal(a, b) for a, b in zip(joined[:3], features.maps, strict=False))
    assert torch.equal(joined[3], torch.cat((features.maps[3], scores), 1))
    found = neck(features)
    assert [tuple(x.shape) for x in found.maps] == [(2, 256, 64 // s, 128 // s) for s in STRIDES]
    assert (neck.out_channels, neck.out_strides) == ((256,) * 4, STRIDES)


def test_scores_join_the_map_of_the_patches_in_a_pyramid():
    neck = build((8,) * 4, (16,) * 4, factors=(4, 2, 1, 0.5), out_channels=8)
    features = draw((8,) * 4, (16,) * 4, dense=4)
    assert (neck.level, neck.out_strides) == (2, STRIDES)
    assert [tuple(x.shape[2:]) for x in neck(features).maps] == [
        (64 // s, 128 // s) for s in STRIDES
    ]
    kinds = [type(m) for m in neck.pyramid.levels[0]]
    double = nn.ConvTranspose2d
    assert kinds == [nn.GroupNorm, double, nn.BatchNorm2d, nn.GELU, double]


@pytest.mark.parametrize(('level', 'size'), [(0, (16, 32)), (-1, (2, 4)), (1, (8, 16))])
def test_scores_are_resized_to_another_map(level, size):
    neck, features, scores = build(level=level), draw(), torch.randn(2, CLASSES, 2, 4)
    joined = neck.join(features.maps, scores)[level]
    expected = F.interpolate(scores, size=size, mode='bilinear', align_corners=False)
    assert torch.equal(joined[:, -CLASSES:], expected)
    assert neck(features).scores.shape == (2, CLASSES, 2, 4)


def test_the_pyramid_of_sides_that_no_factor_divides():
    neck = build((8,) * 4, (16,) * 4, factors=(4, 2, 1, 0.5))
    features = draw((8,) * 4, (16,) * 4, side=48, dense=3)
    sizes = [tuple(x.shape[2:]) for x in neck(features).maps]
    assert sizes == [(12, 24), (6, 12), (3, 6), (1, 3)]


def test_the_decoder_starts_as_published():
    decoder = PixelTextNeck([8], [16], CLASSES, DIMS, DIMS).context_decoder
    linears = [m for m in decoder.modules() if isinstance(m, nn.Linear)]
    assert {m.out_features for m in linears} == {256, 1024, DIMS}
    assert all(not m.bias.any() for m in linears if m.bias is not None)
    assert decoder.decoder[0].mlp[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    attention = decoder.decoder[2].cross_attn
    assert [attention.q_proj.bias, attention.k_proj.bias, attention.v_proj.bias] == [None] * 3
    assert (len(decoder.decoder), attention.num_heads) == (3, 4)
    rates = {m.p for m in decoder.modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.1}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(level=4), r'level=4, but there are 4 maps \(0 to 3\)'),
        (dict(level=-5), r'level=-5, but there are 4 maps'),
        (dict(factors=(4, 2)), '2 factors for 4 maps'),
        (dict(embed_dims=9), 'embed_dims=9, num_heads=2: .* take embed_dims=10'),
        (dict(level=True), 'level=True: expected a whole number or None'),
        (dict(factors=3), 'factors=3: expected a list of numbers or None'),
        (dict(out_channels=0), 'out_channels=0: expected a whole number, at least 1'),
        (dict(num_heads=0), 'num_heads=0: expected a whole number, at least 1'),
        (dict(num_layers=-1), 'num_layers=-1: expected a whole number, at least 1'),
        (dict(dropout=2), 'dropout=2: expected a number, from 0 to 1'),
        (dict(gamma=float('nan')), 'gamma=nan: expected a number'),
        (dict(gamma='x'), "gamma='x': expected a number"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_words_that_do_not_move_at_first():
    neck = build(gamma=0)
    features = draw()
    assert torch.equal(neck.update(features.text, features.joint)[1], features.text)
    assert neck.gamma.dtype is torch.float32


def test_the_model_fills_in_the_facts():
    inputs = HeadInputs(CHANNELS, STRIDES, CLASSES, joint_dims=DIMS, text_dims=DIMS)
    neck, channels, strides = build_neck(dict(type='PixelTextNeck', **DECODER), inputs)
    assert (channels, strides, neck.level) == ((256,) * 4, STRIDES, 3)


def model(**options):
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODER, peft=dict(type='LoRA', rank=2)),
        text=TABLE,
        neck=NECK,
        decode_head=dict(type='FPNHead', feature_strides=(4, 8, 16, 32), channels=8),
        auxiliary_head=dict(type='IdentityHead'),
        num_classes=CLASSES,
    )
    torch.manual_seed(0)
    return MODELS.build({**cfg, **options})


def test_a_model_learns_from_both_losses_and_predicts_any_size():
    segmentor = model()
    losses = segmentor.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    assert {'decode.loss_ce', 'aux_0.loss_ce'} <= losses.keys()
    (losses['decode.loss_ce'] + losses['aux_0.loss_ce']).backward()
    trained = {name: p for name, p in segmentor.named_parameters() if p.requires_grad}
    assert {'neck.gamma', 'neck.fpn.lateral_convs.0.conv.weight'} <= trained.keys()
    assert all(p.grad.isfinite().all() for p in trained.values())
    with torch.no_grad():
        segmentor.eval()
        for size in ((41, 70), (8, 70), (5, 3)):  # a single patch is padded to two
            predicted = segmentor.whole_inference(torch.randn(1, 3, *size))
            assert predicted.shape == (1, CLASSES, *size)


def test_a_resnet_gives_its_maps_as_they_are_and_takes_any_side_from_32_pixels():
    encoder = dict(
        type='CLIPResNet',
        arch=dict(width=8, depths=[1, 1, 1, 1]),
        img_size=64,
        joint_dims=DIMS,
        init_seed=0,
    )
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='LoRA', rank=2))
    segmentor = model(backbone=backbone, neck={**NECK, 'factors': None})
    assert segmentor.neck.fpn.lateral_convs[3].conv.in_channels == 256 + CLASSES
    losses = segmentor.loss(torch.randn(2, 3, 64, 96), samples(2, 64, 96))
    (losses['decode.loss_ce'] + losses['aux_0.loss_ce']).backward()
    grads = [p.grad for p in segmentor.parameters() if p.requires_grad]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
    with torch.no_grad():
        segmentor.eval()
        for size in ((64, 96), (45, 70)):
            predicted = segmentor.whole_inference(torch.randn(1, 3, *size))
            assert predicted.shape == (1, CLASSES, *size)


def test_bfloat16_autocast_stays_near():
    neck, features = build().eval(), draw()
    exact = neck(features)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = neck(features)
    assert (found.scores - exact.scores).abs().max() < 0.02
    for a, b in zip(found.maps, exact.maps, strict=True):
        assert (a - b).abs().max() < 0.05 * b.abs().max()


def test_the_state_of_a_model_holds_no_word():
    names = model().state_dict()
    assert not [name for name in names if name.startswith('text.')]
    assert 'neck.context_decoder.decoder.0.norm2.weight' in names


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(text=None), "model.neck='PixelTextNeck' reads the embeddings of the class names"),
        (dict(text=dict(TABLE, dims=8)), 'compares text of width 8 with an image of width 12'),
        (dict(neck=None), "auxiliary_head='IdentityHead' reads scores .*, which no neck makes"),
        (dict(neck=dict(type='TokenPyramid')), r"reads scores .*model\.neck=.*'PixelTextNeck'"),
        (dict(backbone=FROZEN), "model.neck='PixelTextNeck' reads the space .* 'TinyViT' does not"),
        (dict(neck=dict(NECK, level=4)), r'level=4, but there are 4 maps \(0 to 3\)'),
        (
            dict(neck=dict(NECK, joint_dims=7)),
            'model.neck.joint_dims=7, but the model has 12: leave',
        ),
    ],
)
def test_parts_that_miss_each_other_are_named(options, message):
    with pytest.raises(UserError, match=message):
        model(**options)
