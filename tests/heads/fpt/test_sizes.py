"""Images for FPT in a model: checked before the encoder runs, padded where images are padded."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from tests.encoders.tiny import FOUR_MAPS
from tests.models.tiny import samples

FPN = dict(type='FPN', out_channels=8, num_outs=3, start_level=1)
TOKENS = dict(type='TokenPyramid', out_channels=8)


def build(encoder='pgt', neck=FPN, **options):
    torch.manual_seed(0)
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=FOUR_MAPS[encoder], peft=dict(type='Frozen')),
        decode_head=dict(type='FPTHead', **options.pop('head', {})),
        num_classes=4,
        **({} if neck is None else dict(neck=neck)),
        **options,
    )
    return MODELS.build(cfg)


def test_a_size_that_does_not_fit_is_named_before_the_encoder_runs():
    model = build()
    calls = []
    model.backbone.encoder.register_forward_pre_hook(lambda m, args: calls.append(1))
    with pytest.raises(
        UserError, match=r'^FPTHead takes .* 32 pixels, not \(72, 104\) .* crop to \(64, 96\)'
    ):
        model.loss(torch.randn(2, 3, 72, 104), samples(2, 72, 104))
    assert not calls
    assert model.loss(torch.randn(2, 3, 64, 96), samples(2, 64, 96))['decode.loss_ce'].isfinite()


@pytest.mark.parametrize(
    'mode', [dict(mode='whole'), dict(mode='slide', crop_size=(96, 128), stride=(64, 64))]
)
@pytest.mark.parametrize('size', [(72, 104), (20, 33)])
def test_images_of_any_size_are_predicted(size, mode):
    model = build(test_cfg=mode).eval()
    with torch.no_grad():
        (result,) = model.predict(torch.randn(1, 3, *size), samples(1, *size))
    assert result.pred_sem_seg.data.shape == (1, *size)


@pytest.mark.parametrize(
    ('encoder', 'neck', 'divisor', 'least'),
    [
        ('pgt', FPN, 32, 64),
        ('swin', dict(type='FPN', out_channels=8, num_outs=4), 32, 64),
        ('convnext', FPN, 32, 64),
        ('resnet', FPN, 32, 64),
        ('pvt', FPN, 32, 64),
        ('hlg', FPN, 32, 64),
        ('vit', TOKENS, 16, 32),  # patches of 8 pixels
        ('dinov2', TOKENS, 16, 32),
        ('sam', TOKENS, 16, 32),
    ],
)
def test_divisor_follows_the_strides(encoder, neck, divisor, least):
    model = build(encoder, neck)
    anatomy = model.backbone.anatomy
    assert (anatomy.divisor, anatomy.smallest_side) == (divisor, least)
    losses = model.loss(torch.randn(2, 3, least, 2 * least), samples(2, least, 2 * least))
    losses['decode.loss_ce'].backward()
    assert all(p.grad.isfinite().all() for p in model.decode_head.parameters())


@pytest.mark.parametrize(
    ('encoder', 'neck', 'message'),
    [
        ('vit', FPN, r'maps with strides \[8, 8, 8\]: .*TokenPyramid'),
        ('pgt', TOKENS, r'maps with strides \[4, 16, 64\]'),
        ('pgt', None, r'maps with \[16, 32, 64\] channels: .*FPN'),
    ],
)
def test_a_pyramid_that_does_not_double_is_refused_when_built(encoder, neck, message):
    with pytest.raises(UserError, match=message):
        build(encoder, neck)


def test_an_auxiliary_head_restricts_sizes_too():
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=FOUR_MAPS['pgt'], peft=dict(type='Frozen')),
            neck=FPN,
            decode_head=dict(type='LinearHead'),
            auxiliary_head=dict(type='FPTHead'),
            num_classes=3,
        )
    )
    assert model.backbone.anatomy.divisor == 32
