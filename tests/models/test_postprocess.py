"""Labels from predictions: as mmseg makes them, class by class."""

import pytest
import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample

from tests.models.tiny import LINEAR, build


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
    head = {**LINEAR, 'out_channels': 1, 'threshold': 0.4} if classes == 1 else LINEAR
    test_cfg = dict(mode='whole', keep_logits=keep)
    model = build(head=head, num_classes=max(classes, 2), test_cfg=test_cfg)
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


@torch.no_grad()
@pytest.mark.parametrize('classes', [1, 3])
def test_labels_of_the_nearest_predicted_pixel(classes):
    head = {**LINEAR, 'out_channels': 1, 'threshold': 0.4} if classes == 1 else LINEAR
    model = build(head=head, num_classes=max(classes, 2), test_cfg=dict(resize='nearest'))
    logits = torch.randn(1, classes, 4, 6)
    small, large = (SegDataSample(metainfo=dict(ori_shape=size)) for size in ((4, 6), (12, 18)))
    for sample in (small, large):
        model.postprocess_result(logits, [sample])
    expected = small.pred_sem_seg.data.repeat_interleave(3, 1).repeat_interleave(3, 2)
    assert torch.equal(large.pred_sem_seg.data, expected)
