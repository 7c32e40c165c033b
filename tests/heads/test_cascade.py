"""A row of heads equals mmsegmentation's CascadeEncoderDecoder; rows that cannot work."""

import pytest
import torch
from mmseg.models.decode_heads import FCNHead, OCRHead

from rein_seg.errors import UserError
from rein_seg.heads import CascadeHead
from rein_seg.heads.contract import HeadInputs
from rein_seg.heads.mmseg_head import as_metas, as_samples
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features

INPUTS = HeadInputs((8, 16), (8, 16), 3)
FCN = dict(
    type='FCNHead',
    channels=4,
    num_convs=1,
    loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4),
)
OCR = dict(type='OCRHead', channels=4, ocr_channels=4)


def build(*heads):
    torch.manual_seed(0)
    return build_head(dict(type='CascadeHead', heads=list(heads)), INPUTS)


def draw():
    generator = torch.Generator().manual_seed(1)
    shapes = (2, 8, 8, 12), (2, 16, 4, 6)
    return Features(tuple(torch.randn(shape, generator=generator) for shape in shapes))


def test_losses_and_predictions_are_those_of_the_heads_one_after_the_other():
    head, features = build(FCN, OCR).eval(), draw()
    first, second = head
    assert isinstance(first, FCNHead)
    assert isinstance(second, OCRHead)
    labels = torch.randint(0, 3, (2, 64, 96))
    coarse = first(features.maps)
    losses = head.loss(features, labels)
    expected = first.loss(features.maps, as_samples(labels), None)
    torch.testing.assert_close(losses['head_0.loss_ce'], expected['loss_ce'])
    expected = second.loss(features.maps, coarse, as_samples(labels), None)
    torch.testing.assert_close(losses['head_1.loss_ce'], expected['loss_ce'])
    predicted = second.predict(features.maps, coarse, as_metas((64, 96), 2), None)
    torch.testing.assert_close(head.predict(features, (64, 96)), predicted)
    # names of mmsegmentation's files
    assert {name.split('.')[0] for name in head.state_dict()} == {'0', '1'}


def test_a_loss_has_the_weight_of_its_head():
    features, labels = draw(), torch.zeros(2, 64, 96, dtype=torch.long)
    light = build(FCN, OCR).loss(features, labels)
    full = build({**FCN, 'loss_decode': dict(type='CrossEntropyLoss')}, OCR).loss(features, labels)
    torch.testing.assert_close(light['head_0.loss_ce'], 0.4 * full['head_0.loss_ce'])


def test_a_third_head_refines_the_second():
    head = build(FCN, OCR, OCR)
    losses = head.loss(draw(), torch.zeros(2, 64, 96, dtype=torch.long))
    assert {name for name in losses if 'loss' in name} == {f'head_{i}.loss_ce' for i in range(3)}


@pytest.mark.parametrize(
    ('heads', 'message'),
    [
        ([], r'heads=\[\]: expected two heads'),
        ([FCN], r"heads=\['FCNHead'\]: expected two heads"),
        ([OCR, OCR], "'OCRHead' refines the result of another head"),
        ([FCN, FCN], r"\['FCNHead', 'FCNHead'\]: expected a head that reads maps alone"),
        ([dict(type='LinearHead'), OCR], 'begins with LinearHead: expected a head of mmsegm'),
        ([FCN, {**OCR, 'in_index': 0}], r'read other maps .*\(1, None\), \(0, None\)'),
        ([FCN, {**OCR, 'num_classes': 4}], 'num_classes=4, the model num_classes=3'),
    ],
)
def test_rows_that_cannot_work_are_refused(heads, message):
    with pytest.raises(UserError, match=message):
        build(*heads)


def test_a_refining_head_alone_is_refused_and_told_where_it_belongs():
    with pytest.raises(UserError, match="type='CascadeHead', heads=.*type='OCRHead'"):
        build_head(OCR, INPUTS)


def test_labels_of_the_last_head_decide():
    head = build({**FCN, 'ignore_index': 7}, {**OCR, 'ignore_index': 7})
    assert isinstance(head, CascadeHead)
    assert (head.ignore_index, head.num_classes, head.out_channels) == (7, 3, 3)
