"""The contract of a head, on tiny features: our own heads and heads of mmseg."""

import copy
from dataclasses import replace

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, HeadInputs
from rein_seg.heads.mmseg_head import MMSegHead, as_head
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.heads.tiny import GROUPS, HEADS, PARTIAL, UPERNET

CLASSES = 4
CHANNELS, STRIDES = (8, 8, 16, 16), (4, 8, 16, 32)
JOINT = 8
HEIGHT, WIDTH = 64, 96
CE, DICE = dict(type='CrossEntropyLoss'), dict(type='DiceLoss')
SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_name='loss_bce')
FCN = dict(type='FCNHead', channels=8, norm_cfg=GROUPS)

CASES = {
    **{n: row['decode_head'] for n, row in HEADS.items() if 'neck' not in row and n not in PARTIAL},
    'ATM': dict(type='ATMHead', num_heads=2, loss=dict(ignored='masked')),
    'Linear, one channel': dict(type='LinearHead', out_channels=1, loss_decode=SIGMOID),
    'SAM, two channels': {**HEADS['SAM, classes']['decode_head'], 'out_channels': 2},
    'UPerNet, two losses': {**UPERNET, 'loss_decode': [CE, dict(**DICE, loss_weight=3.0)]},
    'FCN, losses of one name': {**FCN, 'loss_decode': [CE, dict(**CE, loss_weight=0.5)]},
    'FCN, one channel': {**FCN, 'out_channels': 1, 'loss_decode': SIGMOID},
    'FCN, maps joined': {**FCN, 'in_index': [0, 2], 'input_transform': 'resize_concat'},
    'ASPP': dict(type='ASPPHead', channels=8, dilations=(1, 2), norm_cfg=GROUPS),
    'FPN': dict(type='FPNHead', channels=8, feature_strides=STRIDES, norm_cfg=GROUPS),
    'EncNet, a loss of the image': dict(
        type='EncHead',
        channels=8,
        num_codes=4,
        in_index=[1, 2, 3],
        norm_cfg=GROUPS,
        loss_se_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=0.2),
    ),
}
# of the image, not of its pixels: which classes it holds
OF_IMAGE = ('loss_cls', 'loss_se')
every_head = pytest.mark.parametrize('name', CASES)


def is_binary(name):
    return name == 'SAM, foreground' or CASES[name].get('out_channels') in (1, 2)


def build(name, *, query_dims=None, **options):
    torch.manual_seed(0)
    classes = 2 if is_binary(name) else CLASSES
    inputs = HeadInputs(CHANNELS, STRIDES, classes, query_dims, joint_dims=JOINT, text_dims=JOINT)
    cfg = {**CASES[name], **options}
    if 'heads' in cfg:  # options are those of each
        cfg = {**CASES[name], 'heads': [{**head, **options} for head in cfg['heads']]}
    return as_head(build_head(cfg, inputs))


def module_of(head):
    return head.module if isinstance(head, MMSegHead) else head


def draw_features(batch=2, queries=None):
    generator = torch.Generator().manual_seed(1)
    maps = [
        torch.randn(batch, c, HEIGHT // s, WIDTH // s, generator=generator)
        for c, s in zip(CHANNELS, STRIDES, strict=True)
    ]
    joint = [torch.randn(batch, JOINT, *size, generator=generator) for size in ((), (4, 6))]
    text = torch.randn(CLASSES, JOINT, generator=generator)
    return Features(tuple(maps), queries, joint=tuple(joint), text=text)


def draw_labels(classes, ignored=255):
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, classes, (2, 4, 6), generator=generator)
    labels[0, 1:3, 2:] = ignored
    return labels.repeat_interleave(16, 1).repeat_interleave(16, 2)


def losses_of(head, features, labels):
    torch.manual_seed(3)
    losses = head.loss(features, labels)
    return {key: value for key, value in losses.items() if 'loss' in key}


@every_head
def test_losses_are_finite_scalars_that_reach_every_parameter(name):
    head = build(name)
    losses = head.loss(draw_features(), draw_labels(head.num_classes))
    trained = [value for key, value in losses.items() if 'loss' in key]
    assert trained
    assert all(value.numel() == 1 and value.isfinite().all() for value in losses.values())
    sum(value.sum() for value in trained).backward()
    params = [p for p in module_of(head).parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in params)


@every_head
@torch.no_grad()
def test_predictions_have_the_shape_and_kind_that_the_head_says(name):
    head, module = build(name), module_of(build(name)).eval()
    head = as_head(module)
    predicted = head.predict(draw_features(), (50, 70))
    assert predicted.shape == (2, head.out_channels, 50, 70)
    assert head.sigmoid == (head.out_channels == 1)
    assert head.sigmoid or head.out_channels == head.num_classes
    if head.output == 'scores':
        assert (predicted >= 0).all()
    elif head.output == 'sigmoids':
        assert -1 <= predicted.min() < predicted.max() <= 1
    else:
        assert head.output == 'logits'
    probabilities = head.probabilities(predicted)
    assert probabilities.dtype == torch.float32
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    if not head.sigmoid:
        ones = torch.ones_like(probabilities[:, 0])
        torch.testing.assert_close(probabilities.sum(1), ones)
        assert torch.equal(probabilities.argmax(1), predicted.argmax(1))


@every_head
def test_an_image_of_ignored_pixels_adds_nothing(name):
    head = build(name)
    for norm in module_of(head).modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):  # its statistics are of all images
            norm.eval()
    labels, features = draw_labels(head.num_classes), draw_features()
    labels[1] = 255
    inputs = [*features.maps, *features.joint]
    for each in inputs:
        each.requires_grad_()
    for key, value in losses_of(head, features, labels).items():
        if key.endswith(OF_IMAGE):
            continue
        gradients = torch.autograd.grad(value.sum(), inputs, retain_graph=True, allow_unused=True)
        used = [gradient for gradient in gradients if gradient is not None]
        assert any(gradient[0].any() for gradient in used), key
        assert not any(gradient[1].any() for gradient in used), key


@every_head
def test_another_ignore_index_gives_the_same_losses(name):
    head, other = build(name), build(name, ignore_index=254)
    features, classes = draw_features(), head.num_classes
    expected = losses_of(head, features, draw_labels(classes))
    found = losses_of(other, features, draw_labels(classes, ignored=254))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0)


@every_head
@torch.no_grad()
def test_a_deep_copy_is_its_own_head(name):
    module = module_of(build(name)).eval()
    twin = copy.deepcopy(module)
    features = draw_features()
    before = as_head(module).predict(features, (32, 48))
    assert torch.equal(as_head(twin).predict(features, (32, 48)), before)
    for param in twin.parameters():
        param.mul_(0.5)
    assert torch.equal(as_head(module).predict(features, (32, 48)), before)
    assert not torch.equal(as_head(twin).predict(features, (32, 48)), before)


@every_head
def test_bfloat16_autocast_stays_near(name):
    head, features = build(name), draw_features()
    module_of(head).eval()
    labels = draw_labels(head.num_classes)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(head, features, labels)
        with torch.no_grad():
            found = head.predict(features, (32, 48))
    assert all(value.isfinite() for value in losses.values())
    with torch.no_grad():
        exact = head.predict(features, (32, 48))
    assert (head.probabilities(found) - head.probabilities(exact)).abs().max() < 0.05


@pytest.mark.parametrize('name', ['Linear', 'Mask2Former'])
def test_heads_that_read_queries_learn_from_them(name):
    head = build(name, query_dims=8)
    assert 'query_dims' in head.filled_in
    queries = torch.randn(5, 8, requires_grad=True)
    losses = losses_of(head, draw_features(queries=queries), draw_labels(CLASSES))
    sum(losses.values()).backward()
    assert queries.grad is not None


def test_losses_of_a_list_come_by_name():
    def names(case):
        head = build(case)
        return set(head.loss(draw_features(), draw_labels(head.num_classes)))

    assert names('UPerNet, two losses') == {'loss_ce', 'loss_dice', 'acc_seg'}
    assert names('FCN, losses of one name') == {'loss_ce', 'acc_seg'}
    parts = ('pam', 'cam', 'pam_cam')
    three = {f'{part}.{key}' for part in parts for key in ('loss_ce', 'acc_seg')}
    assert names('DANet') == three


def test_an_adapter_hands_its_configs_on():
    class Recorder(MODELS.get('FCNHead')):
        def loss(self, inputs, batch_data_samples, train_cfg):
            self.seen = train_cfg
            return super().loss(inputs, batch_data_samples, train_cfg)

        def predict(self, inputs, batch_img_metas, test_cfg):
            self.seen = test_cfg
            return super().predict(inputs, batch_img_metas, test_cfg)

    module = Recorder(in_channels=16, channels=4, in_index=3, num_classes=CLASSES)
    head = as_head(module, 'training', 'testing')
    head.loss(draw_features(), draw_labels(CLASSES))
    assert module.seen == 'training'
    head.predict(draw_features(), (8, 8))
    assert module.seen == 'testing'


def test_a_threshold_is_one_half_where_the_config_leaves_it_out():
    assert build('FCN, one channel').threshold == 0.5
    assert build('Linear, one channel').threshold == 0.5
    assert build('FCN, one channel', threshold=0.3).threshold == 0.3


def test_a_new_head_is_told_what_it_lists():
    @MODELS.register_module(name='EmbeddingHead', force=True)
    class EmbeddingHead(DecodeHead, BaseModule):
        filled_in = ('in_channels', 'num_classes', 'text_dims')

        def __init__(self, in_channels, num_classes, text_dims):
            super().__init__()
            self.num_classes = self.out_channels = num_classes
            self.project = nn.Conv2d(in_channels[-1], text_dims, 1)

        def forward(self, features):
            return torch.einsum('bdhw,kd->bkhw', self.project(features.maps[-1]), features.text)

        def loss(self, features, labels):
            return {'loss': self(features).square().mean()}

        def predict(self, features, size):
            return nn.functional.interpolate(self(features), size=size)

    inputs = HeadInputs(CHANNELS, STRIDES, 3, text_dims=5)
    head = build_head(dict(type='EmbeddingHead'), inputs)
    features = replace(draw_features(), text=torch.randn(3, 5))
    assert head.predict(features, (8, 8)).shape == (2, 3, 8, 8)
    MODELS.module_dict.pop('EmbeddingHead')


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='OCRHead', channels=8, ocr_channels=4), "'OCRHead' refines the result of an"),
        (dict(type='TokenPyramid'), "'TokenPyramid' is no DecodeHead"),
        (dict(type='LinearHead', in_index=[4]), r'in_index=\[4\], but there are 4 maps'),
        (dict(type='FCNHead', channels=8, in_index=-5), 'in_index=-5, but there are 4 maps'),
        (dict(type='LinearHead', in_channels=[8]), r'in_channels=\[8\], but the maps it reads'),
    ],
)
def test_configs_that_make_no_head(cfg, message):
    with pytest.raises(UserError, match=message):
        build_head(cfg, HeadInputs(CHANNELS, STRIDES, CLASSES))


BINARY = dict(num_classes=2, out_channels=1)
IGNORED = {
    'softmax': dict(type='LinearHead'),
    'softmax, all pixels': dict(type='LinearHead', loss_decode=dict(type='CrossEntropyLoss')),
    'sigmoid': dict(type='LinearHead', loss_decode=SIGMOID, **BINARY),
    'sigmoid, mean': dict(
        type='LinearHead', loss_decode={**SIGMOID, 'avg_non_ignore': True}, **BINARY
    ),
    'dice': dict(type='LinearHead', loss_decode=dict(type='DiceLoss')),
    'lovasz': dict(type='LinearHead', loss_decode=dict(type='LovaszLoss', reduction='none')),
    'structure': dict(type='LinearHead', loss_decode=dict(type='StructureLoss'), **BINARY),
    'balanced': dict(type='LinearHead', loss_decode=dict(type='BalancedBCELoss'), **BINARY),
    'UPerNet': UPERNET,
    'FCN, sigmoid': {**FCN, 'loss_decode': SIGMOID, **BINARY},
    'DuAT': HEADS['DuAT']['decode_head'] | BINARY,
    'SAM': HEADS['SAM, foreground']['decode_head'] | BINARY,
    'SAM, sigmoid': HEADS['SAM, foreground']['decode_head'] | BINARY | dict(loss_decode=SIGMOID),
}


@pytest.mark.parametrize('name', IGNORED)
def test_a_batch_that_is_all_ignored_has_no_loss_and_no_gradient(name):
    torch.manual_seed(0)
    inputs = HeadInputs(CHANNELS, STRIDES, IGNORED[name].get('num_classes', CLASSES))
    head = as_head(build_head(IGNORED[name], inputs))
    features = draw_features()
    for one in features.maps:
        one.requires_grad_()
    losses = head.loss(features, torch.full((2, 64, 64), 255))
    trained = [value for key, value in losses.items() if 'loss' in key]
    assert trained
    assert all((value == 0).all() for value in trained)
    sum(value.sum() for value in trained).backward()
    module = getattr(head, 'module', head)
    wanted = [p.grad for p in module.parameters() if p.grad is not None]
    assert wanted
    assert all((gradient == 0).all() for gradient in wanted)


@pytest.mark.parametrize('name', ['Mask2Former', 'PMT', 'SAM, classes'])
def test_ignored_images_hold_no_object(name):
    """Sets of masks learn from such images that nothing is there, as in the official code."""
    torch.manual_seed(0)
    head = build_head(HEADS[name]['decode_head'], HeadInputs(CHANNELS, STRIDES, CLASSES))
    losses = head.loss(draw_features(), torch.full((2, 64, 64), 255))
    assert all(value.isfinite() for value in losses.values())
    assert losses['loss_mask'] == losses['loss_dice'] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)
