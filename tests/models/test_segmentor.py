"""Segmentor: training steps, predictions, the state it keeps."""

import copy

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.models.base import count_parameters
from tests.encoders.tiny import ENCODERS
from tests.models.tiny import KEEP, LINEAR, MASK2FORMER, REIN, UNLINKED, UPER, build, samples


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


def test_a_joint_embedding_that_nothing_reads_is_refused():
    with pytest.raises(UserError, match='has joint_dims=8, but no neck or head .*joint_dims=None'):
        build('clip_joint')


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


def test_heads_of_mmseg_keep_the_names_of_their_parameters():
    model = build('convnext', UPER, UNLINKED, auxiliary_head=dict(type='FCNHead', channels=8))
    heads = {key.partition('.peft.')[0] for key in model.state_dict()} - {'backbone'}
    own = {f'decode_head.{key}' for key in model.decode_head.state_dict()}
    own |= {f'auxiliary_head.0.{key}' for key in model.auxiliary_head[0].state_dict()}
    assert heads == own
    assert {'decode_head.conv_seg.weight', 'auxiliary_head.0.conv_seg.weight'} < own
    assert list(model.heads) == ['decode', 'aux_0']


@torch.no_grad()
def test_a_deep_copy_has_heads_of_its_own():
    model = build('vit', UPER, UNLINKED).eval()
    twin, image = copy.deepcopy(model), torch.randn(1, 3, 32, 64)
    before = model.encode_decode(image)
    assert torch.equal(twin.encode_decode(image), before)
    twin.decode_head.conv_seg.bias.add_(1)
    torch.testing.assert_close(twin.encode_decode(image), before + 1)
    assert torch.equal(model.encode_decode(image), before)


@pytest.mark.parametrize(('head', 'peft'), [(LINEAR, REIN), (UPER, UNLINKED)])
@torch.no_grad()
def test_a_call_gives_the_heads_own_result(head, peft):
    model, image = build(head=head, peft=peft).eval(), torch.randn(1, 3, 32, 64)
    logits = model(image)
    assert logits.shape == (1, 4, 4, 8)
    resized = torch.nn.functional.interpolate(logits, (32, 64), mode='bilinear')
    assert torch.equal(model.encode_decode(image), resized)
