"""Segmentor: sizes read from the encoder, heads, and windows in batches."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rein_seg.errors import UserError
from rein_seg.models.segmentor import count_parameters, slide_windows
from tests.encoders.tiny import ENCODERS

LINEAR = dict(type='LinearHead')
MASK2FORMER = dict(
    type='Mask2FormerHead',
    feat_channels=8,
    num_queries=5,
    num_heads=2,
    encoder_layers=1,
    decoder_layers=2,
    encoder_hidden=8,
    decoder_hidden=8,
    norm_groups=4,
    loss=dict(num_points=16),
)
UPER = dict(
    type='UPerHead',
    channels=16,
    pool_scales=(1, 2),
    norm_cfg=dict(type='GN', num_groups=4),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
)
REIN = dict(type='Rein', num_tokens=5, rank=2, query_dims=8)
UNLINKED = {**REIN, 'link_to_queries': False}


KEEP = dict(mode='whole', keep_scores=True)


def build(family='vit', head=LINEAR, peft=REIN, **options):
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft),
        decode_head=head,
        num_classes=4,
    )
    return MODELS.build({**cfg, **options})


def samples(batch, height, width):
    result = []
    for _ in range(batch):
        sample = SegDataSample(metainfo=dict(ori_shape=(height, width), img_shape=(height, width)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, height, width)))
        result.append(sample)
    return result


@pytest.mark.parametrize('family', ['vit', 'convnext', 'sam'])
@pytest.mark.parametrize(
    ('head', 'peft', 'neck'),
    [
        (LINEAR, REIN, None),
        (LINEAR, dict(type='LoRA', rank=2), None),
        (LINEAR, UNLINKED, 'pyramid'),
        (UPER, UNLINKED, None),
        (UPER, dict(type='Frozen'), 'pyramid'),
    ],
)
def test_train_step_and_prediction(family, head, peft, neck):
    maps = len(ENCODERS[family]['out_indices'])
    pyramid = dict(type='TokenPyramid', factors=(4, 2, 1)[-maps:], out_channels=12)
    model = build(family, head, peft, **({'neck': pyramid} if neck else {}))
    losses = model.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    total = sum(v.sum() for k, v in losses.items() if 'loss' in k)
    total.backward()
    trainable = [n for n, p in model.named_parameters() if p.requires_grad]
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert trainable
    assert not without  # so DDP needs no find_unused_parameters
    model.eval()
    with torch.no_grad():
        result = model.predict(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    assert result[0].pred_sem_seg.data.shape == (1, 32, 64)
    assert 'seg_logits' not in result[0]


@pytest.mark.parametrize('channels', [1, 2])
def test_a_head_of_mmseg_segments_one_foreground_on_sam(channels):
    head = {**UPER, 'out_channels': channels, 'threshold': 0.5}
    if channels == 1:
        head['loss_decode'] = [dict(type='StructureLoss'), dict(type='BalancedBCELoss')]
    model = build('sam', head, dict(type='ConvLoRA'), num_classes=2, test_cfg=KEEP)
    data = samples(2, 32, 64)
    for sample in data:
        sample.gt_sem_seg.data[sample.gt_sem_seg.data > 1] = 255
    losses = model.loss(torch.randn(2, 3, 32, 64), data)
    kinds = {'decode.loss_structure', 'decode.loss_balanced_bce'}
    kinds = kinds if channels == 1 else {'decode.loss_ce'}
    assert {k for k in losses if 'loss' in k} == {*kinds, 'peft.loss_balance'}
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    with torch.no_grad():
        (found,) = model.eval().predict(torch.randn(1, 3, 32, 64), samples(1, 32, 64))
    scores = found.pred_scores.data
    assert torch.equal((scores > 0.5).long(), found.pred_sem_seg.data.long())
    assert 0 <= scores.min() < scores.max() <= 1


@torch.no_grad()
def test_mask2former_on_sam_gives_the_foregrounds_share_of_both_scores():
    arch = {**ENCODERS['sam']['arch'], 'num_layers': 4}
    encoder = {**ENCODERS['sam'], 'arch': arch, 'out_indices': [0, 1, 2, 3]}
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='ConvLoRA'))
    test_cfg = {**KEEP, 'keep_logits': True}
    options = dict(backbone=backbone, num_classes=2, test_cfg=test_cfg)
    (found,) = (
        build(head=MASK2FORMER, **options)
        .eval()
        .predict(torch.randn(1, 3, 32, 64), samples(1, 32, 64))
    )
    background, foreground = found.seg_logits.data  # scores, which do not add up to one
    torch.testing.assert_close(found.pred_scores.data[0], foreground / (background + foreground))


@pytest.mark.parametrize(
    'meta',
    [
        dict(ori_shape=(12, 20), img_padding_size=(1, 2, 0, 3)),
        dict(ori_shape=(16, 24), padding_size=[0, 0, 0, 0]),  # the size that is there
        dict(ori_shape=(8, 9), flip=True, flip_direction='horizontal'),
        dict(ori_shape=(40, 30), flip=True, flip_direction='vertical'),
    ],
)
@pytest.mark.parametrize('classes', [1, 3])
@pytest.mark.parametrize('keep', [True, False])
@torch.no_grad()
def test_labels_are_those_of_mmseg(classes, meta, keep):
    model = build(test_cfg=dict(mode='whole', keep_logits=keep))
    model.out_channels, model.decode_head.threshold = classes, 0.4
    logits = torch.randn(2, classes, 16, 24).round()  # with ties: the first wins
    ours, theirs = ([SegDataSample(metainfo=meta) for _ in logits] for _ in range(2))
    model.postprocess_result(logits, ours)
    EncoderDecoder.postprocess_result(model, logits, theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data.long())
        assert one.pred_sem_seg.data.dtype == torch.int64
        if keep:
            assert torch.equal(one.seg_logits.data, other.seg_logits.data)


@torch.no_grad()
def test_classes_are_resized_one_after_the_other(monkeypatch):
    """All of them in the size of the image would be the largest tensor of a test."""
    model, shapes = build(test_cfg=dict(mode='whole')), []
    resize = torch.nn.functional.interpolate

    def look(x, **options):
        shapes.append(tuple(x.shape))
        return resize(x, **options)

    monkeypatch.setattr(torch.nn.functional, 'interpolate', look)
    sample = SegDataSample(metainfo=dict(ori_shape=(40, 30)))
    model.postprocess_result(torch.randn(1, 3, 16, 24), [sample])
    assert shapes == [(1, 1, 16, 24)] * 3


def test_labels_come_with_gradients_on_too():
    model, sample = build(test_cfg=dict(mode='whole')), SegDataSample()
    sample.set_metainfo(dict(ori_shape=(40, 30)))
    logits = torch.randn(1, 3, 16, 24)
    model.postprocess_result(logits.clone().requires_grad_(), [sample])
    expected = torch.nn.functional.interpolate(logits, (40, 30), mode='bilinear').argmax(1)
    assert torch.equal(sample.pred_sem_seg.data, expected)


def test_auxiliary_heads_get_what_they_read():
    fcn = dict(type='FCNHead', channels=8, num_convs=1)  # reads the last map alone
    model = build('convnext', fcn, UNLINKED, auxiliary_head=[LINEAR, fcn])
    assert model.decode_head.in_channels == 32
    assert isinstance(model.auxiliary_head[0].in_channels, int)
    losses = model.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    assert {k for k in losses if 'loss' in k} == {
        'decode.loss_ce',
        'aux_0.loss_ce',
        'aux_1.loss_ce',
    }


def test_class_weights_that_mmseg_fails_on_are_refused():
    loss = dict(type='CrossEntropyLoss', class_weight=[1.0] * 4, avg_non_ignore=True)
    with pytest.raises(UserError, match='set avg_non_ignore=False'):
        build(head={**LINEAR, 'loss_decode': loss})


def test_sizes_are_read_from_the_encoder():
    model = build('convnext', UPER, UNLINKED)
    assert model.decode_head.in_channels == [16, 32]
    with pytest.raises(UserError, match=r'in_channels=\[7, 7\], but the maps it reads have'):
        build('convnext', {**UPER, 'in_channels': [7, 7]}, UNLINKED)


def test_queries_without_a_head_that_takes_them_are_refused():
    with pytest.raises(UserError, match="'UPerHead' takes none.*link_to_queries=False"):
        build('vit', UPER, REIN)


def test_linear_head_vote_starts_at_zero_and_uses_queries():
    torch.manual_seed(0)
    with_queries = build(peft={**REIN, 'zero_init': True}).eval()
    x = torch.randn(1, 3, 32, 32)
    head = with_queries.decode_head
    features = with_queries.extract_feat(x)
    plain = head.cls_seg(
        head.norm(head._transform_inputs(features.maps).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    )
    torch.testing.assert_close(head(features), plain)
    head.query_cls.bias.data += torch.arange(4.0)
    # the attention over queries sums to one, so a bias votes with its own value
    expected = plain + torch.arange(4.0).view(1, 4, 1, 1)
    torch.testing.assert_close(head(features), expected)
    assert not hasattr(build(peft=UNLINKED).decode_head, 'query_proj')


@pytest.mark.parametrize(
    ('size', 'crop', 'stride', 'batch', 'batch_windows'),
    [
        ((64, 96), (32, 32), (24, 24), 1, 4),
        ((64, 96), (32, 32), (24, 24), 2, 4),
        ((64, 96), (32, 48), (32, 48), 1, 3),
        ((40, 72), (32, 32), (17, 31), 1, 100),
        ((24, 96), (32, 32), (16, 16), 1, 2),  # a side shorter than the crop
        ((32, 32), (32, 32), (16, 16), 3, 1),
    ],
)
def test_windows_in_batches_equal_the_serial_loop(size, crop, stride, batch, batch_windows):
    test_cfg = dict(mode='slide', crop_size=crop, stride=stride, batch_windows=batch_windows)
    model = build(test_cfg=test_cfg).eval()
    image = torch.randn(batch, 3, *size)
    metas = [dict(img_shape=size, ori_shape=size) for _ in range(batch)]
    with torch.no_grad():
        ours = model.slide_inference(image, [dict(m) for m in metas])
        serial = EncoderDecoder.slide_inference(model, image, [dict(m) for m in metas])
    torch.testing.assert_close(ours, serial, rtol=1e-5, atol=1e-5)


def test_windows_of_the_published_protocol():
    lefts = [left for _, _, left, _ in slide_windows((512, 1024), (512, 512), (341, 341))]
    assert lefts == [0, 341, 512]
    assert len(slide_windows((720, 1280), (512, 512), (341, 341))) == 2 * 4


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(mode='slid'), "test_cfg.mode='slid'"),
        (dict(mode='slide', crop_size=(32, 32)), 'test_cfg.stride=None'),
        (dict(mode='slide', crop_size=32, stride=(8, 8)), 'test_cfg.crop_size=32'),
        (dict(mode='slide', crop_size=(32, 32), stride=(48, 32)), 'pixels between windows'),
    ],
)
def test_bad_test_cfg(test_cfg, message):
    with pytest.raises(UserError, match=message):
        build(test_cfg=test_cfg)


def test_pyramid_sizes_and_number_of_maps():
    neck = MODELS.build(dict(type='TokenPyramid', in_channels=(8, 8, 8, 8), out_channels=4))
    maps = neck([torch.randn(1, 8, 5, 7)] * 4)
    assert [tuple(m.shape) for m in maps] == [
        (1, 4, 20, 28),
        (1, 4, 10, 14),
        (1, 4, 5, 7),
        (1, 4, 2, 3),
    ]
    with pytest.raises(UserError, match='4 factors for 3 maps'):
        MODELS.build(dict(type='TokenPyramid', in_channels=(8, 8, 8)))


def test_pyramid_half_is_the_mean_of_two_by_two():
    neck = MODELS.build(dict(type='TokenPyramid', in_channels=(1,), factors=(0.5,)))
    x = torch.randn(1, 1, 6, 4)
    torch.testing.assert_close(neck([x])[0], torch.nn.functional.avg_pool2d(x, 2))


def test_parameter_count_by_part():
    model = build()
    counts = count_parameters(model)
    assert counts['method'] == sum(p.numel() for p in model.backbone.peft.parameters())
    assert counts['trainable'] == counts['method'] + counts['neck_and_head']
    assert counts['frozen'] == sum(p.numel() for p in model.backbone.encoder.parameters())


def test_state_dict_holds_no_frozen_tensor():
    model = build()
    assert not [k for k in model.state_dict() if k.startswith('backbone.encoder')]
    assert {k.split('.')[0] for k in model.state_dict()} == {'backbone', 'decode_head'}


def test_normalisation_is_the_encoders():
    model = build()
    torch.testing.assert_close(
        model.data_preprocessor.mean.flatten(), torch.tensor([123.675, 116.28, 103.53])
    )
    encoder = {**ENCODERS['vit'], 'mean': (1, 2, 3), 'std': (4, 5, 6)}
    other = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen')),
            decode_head=LINEAR,
            num_classes=4,
        )
    )
    assert other.data_preprocessor.std.flatten().tolist() == [4, 5, 6]


FOUR_MAPS = {
    'vit': dict(
        arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=16),
        out_indices=[0, 1, 2, 3],
    ),
    'convnext': dict(
        arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 12, 16]), out_indices=[0, 1, 2, 3]
    ),
}


def mask2former(family, peft, **options):
    encoder = {**ENCODERS[family], **FOUR_MAPS[family]}
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=peft),
            decode_head=MASK2FORMER,
            num_classes=4,
            **options,
        )
    )


@pytest.mark.parametrize('family', ['vit', 'convnext'])
@pytest.mark.parametrize('peft', [REIN, dict(type='LoRA', rank=2), dict(type='Frozen')])
def test_mask2former_reads_sizes_strides_and_queries(family, peft):
    model = mask2former(family, peft)
    assert model.decode_head.scales == ((2, 1, 0.5, 0.25) if family == 'vit' else (1, 1, 1, 1))
    assert hasattr(model.decode_head, 'querys2feat') == (peft is REIN)
    losses = model.loss(torch.randn(2, 3, 64, 64), samples(2, 64, 64))
    assert 'decode.loss_mask' in losses
    assert 'decode.d1.loss_dice' in losses
    sum(losses.values()).backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


@torch.no_grad()
def test_windows_have_the_window_s_size_whatever_the_image_was_padded_to():
    """A head that trusts ``pad_shape`` would give a window's logits the size of the image."""
    test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(32, 32), batch_windows=3)
    model = mask2former('vit', REIN, test_cfg=test_cfg).eval()
    image = torch.randn(1, 3, 64, 128)
    metas = [dict(ori_shape=(60, 120), img_shape=(60, 120), pad_shape=(64, 128))]
    logits = model.slide_inference(image, metas)
    one = [
        model.encode_decode(image[..., x : x + 64], [dict(img_shape=(64, 64))]) for x in (0, 32, 64)
    ]
    expected = torch.cat((one[0][..., :32], (one[0][..., 32:] + one[1][..., :32]) / 2), dim=-1)
    torch.testing.assert_close(logits[..., :64], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_image_flatter_than_the_window_is_padded_to_the_patch():
    test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))
    model = mask2former('vit', REIN, test_cfg=test_cfg).eval()
    image = torch.randn(1, 3, 37, 64)
    logits = model.slide_inference(image, [{}])
    assert logits.shape == (1, 4, 37, 64)
    padded = torch.nn.functional.pad(image, (0, 0, 0, 3))
    torch.testing.assert_close(logits, model.encode_decode(padded, [{}])[:, :, :37])
