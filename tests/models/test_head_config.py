"""Sizes, queries and strides that a model fills into its heads."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.head_config import build_head
from tests.models.tiny import LINEAR, REIN, UNLINKED, UPER, build, mask2former, samples


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


def test_one_class_and_another_number_of_classes_are_refused():
    one = HeadInputs(channels=(8,), strides=(4,), num_classes=1)
    with pytest.raises(UserError, match='loss and gradient are 0; count the background'):
        build_head(dict(type='LinearHead'), one)
    three = HeadInputs(channels=(8,), strides=(4,), num_classes=3)
    with pytest.raises(UserError, match="'LinearHead' has num_classes=2, the model num_classes=3"):
        build_head(dict(type='LinearHead', num_classes=2), three)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(text_dims=9), 'has text_dims=9, the model 8: leave it out of the head'),
        (dict(joint_dims=9), 'has joint_dims=9, the model 8'),
        (dict(unseen=[0]), r'has unseen=\[0\], the model \(1,\)'),
    ],
)
def test_facts_of_text_are_the_models(options, message):
    inputs = HeadInputs((8,), (8,), 3, joint_dims=8, text_dims=8, unseen=(1,))
    head = dict(type='ATMHead', num_heads=2, text_dims=8, unseen=[1])
    assert build_head(head, inputs).unseen == (1,)
    with pytest.raises(UserError, match=message):
        build_head({**head, **options}, inputs)
