"""Sliding windows against mmseg's serial loop, and their options."""

import pytest
import torch
from mmseg.models.segmentors import EncoderDecoder

from rein_seg.errors import UserError
from rein_seg.models.windows import fit_places, fit_slide, slide, window_places, windows_at_once
from tests.models.tiny import REIN, build, mask2former


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
    lefts = [left for _, _, left, _ in window_places((512, 1024), (512, 512), (341, 341))]
    assert lefts == [0, 341, 512]
    assert len(window_places((720, 1280), (512, 512), (341, 341))) == 2 * 4


@pytest.mark.parametrize(
    ('crop', 'test_cfg', 'images', 'device', 'expected'),
    [
        ((512, 512), {}, 1, 'cpu', 1),  # 256 MiB a window
        ((512, 512), {}, 1, 'cuda', 4),
        ((512, 512), dict(window_memory=511), 1, 'cpu', 1),
        ((512, 512), dict(window_memory=512), 1, 'cpu', 2),
        ((512, 512), dict(window_memory=4096, batch_windows=3), 1, 'cpu', 3),
        ((512, 512), dict(window_memory=4096, batch_windows=8), 3, 'cpu', 2),
        ((256, 256), {}, 1, 'cpu', 4),
        ((256, 256), {}, 4, 'cpu', 1),
        ((2048, 2048), {}, 1, 'cpu', 1),  # at least one, whatever the budget
        ((2048, 2048), {}, 1, 'cuda', 1),
    ],
)
def test_a_budget_of_memory_chooses_the_windows_at_once(crop, test_cfg, images, device, expected):
    assert windows_at_once(crop, test_cfg, torch.device(device), images=images) == expected


@pytest.mark.parametrize(('memory', 'calls'), [(1, 6), (2, 3), (256, 2)])
def test_the_budget_changes_the_calls_and_not_the_predictions(memory, calls, monkeypatch):
    # a window of 32x32 pixels is 1 MiB
    test_cfg = dict(mode='slide', crop_size=(32, 32), stride=(32, 32), window_memory=memory)
    model = build(test_cfg=test_cfg).eval()
    image, seen = torch.randn(1, 3, 64, 96), []
    predict = model.encode_decode
    monkeypatch.setattr(model, 'encode_decode', lambda x: seen.append(len(x)) or predict(x))
    with torch.no_grad():
        ours = model.slide_inference(image)
        expected = slide(image, predict, 4, crop_size=(32, 32), stride=(32, 32), at_once=6)
    assert len(seen) == calls
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(mode='slid'), "test_cfg.mode='slid'"),
        (dict(resize='cubic'), "test_cfg.resize='cubic': expected bilinear or nearest"),
        (dict(mode='fit_slide', crop_size=(32, 48)), r'crop_size=\(32, 48\): .* must be square'),
        (dict(mode='fit_slide'), 'test_cfg.crop_size=None: mode="fit_slide" resizes'),
        (dict(mode='slide', crop_size=(32, 32)), 'test_cfg.stride=None'),
        (dict(mode='slide', crop_size=32, stride=(8, 8)), 'test_cfg.crop_size=32'),
        (dict(mode='slide', crop_size=(32, 32), stride=(48, 32)), 'pixels between windows'),
    ],
)
def test_bad_test_cfg(test_cfg, message):
    with pytest.raises(UserError, match=message):
        build(test_cfg=test_cfg)


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


@torch.no_grad()
def test_fitted_windows_of_a_model_give_predictions_in_the_size_of_the_image():
    model = build(test_cfg=dict(mode='fit_slide', crop_size=(32, 32))).eval()
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    predicted = model.inference(image, [dict(ori_shape=(64, 96))])
    half = torch.nn.functional.interpolate(image, scale_factor=0.5, mode='bilinear', antialias=True)
    left, right = (model.encode_decode(half[..., x : x + 32]) for x in (0, 16))
    middle = (left[..., 16:] + right[..., :16]) / 2
    mean = torch.cat((left[..., :16], middle, right[..., 16:]), dim=-1)
    expected = torch.nn.functional.interpolate(mean, size=(64, 96), mode='bilinear')
    torch.testing.assert_close(predicted, expected, rtol=1e-4, atol=1e-5)
    assert model.predict(image)[0].pred_sem_seg.shape == (64, 96)


@torch.no_grad()
def test_an_image_of_the_window_s_size_is_predicted_as_it_is():
    model = build(test_cfg=dict(mode='fit_slide', crop_size=(32, 32))).eval()
    image = torch.randn(2, 3, 32, 32)
    predicted = model.inference(image, [dict(ori_shape=(32, 32))] * 2)
    torch.testing.assert_close(predicted, model.encode_decode(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('side', 'long'), [(224, 675), (100, 303), (32, 81), (32, 32), (32, 64)])
def test_fitting_windows_leave_no_pixel_out_where_a_product_is_rounded(side, long):
    ends = [window[3] for window in fit_places((side, long), side)]
    starts = [window[2] for window in fit_places((side, long), side)]
    assert (starts[0], ends[-1]) == (0, long)
    assert all(start <= end for start, end in zip(starts[1:], ends, strict=False))
    image = torch.ones(1, 3, long, side)
    torch.testing.assert_close(fit_slide(image, lambda crops: crops, 3, side=side), image)
