"""Augmented views lie where the image lies, and their probabilities are averaged."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rein_seg.apis import Predictor
from rein_seg.inference import tiles
from rein_seg.inference.augment import mirrored, scaled, scaled_size
from tests.inference.pixels import array_reader, picture
from tests.inference.tiny_models import SLIDE, tiny_model


@pytest.mark.parametrize('scale', [0.5, 0.75, 1.25, 3.0])
@pytest.mark.parametrize('size', [(40, 60), (33, 17), (1, 1)])
def test_a_scaled_reader_reads_the_resized_image(scale, size):
    image = picture(*size)
    to = scaled_size(size, scale)
    read = scaled(array_reader(image), size, to)
    whole = cv2.resize(image, to[::-1], interpolation=cv2.INTER_LINEAR)
    got = read(0, 0, *to)
    assert got.shape == (*to, 3)
    assert np.abs(got.astype(int) - whole).max() <= 4  # fractions of 1/32 pixel
    rows = [read(y, 0, min(y + 7, to[0]), to[1]) for y in range(0, to[0], 7)]
    np.testing.assert_allclose(np.concatenate(rows), got, atol=1)  # of rounding
    columns = [read(0, x, to[0], min(x + 5, to[1])) for x in range(0, to[1], 5)]
    np.testing.assert_allclose(np.concatenate(columns, 1), got, atol=1)


@pytest.mark.parametrize('size', [(2, 33_000), (33_000, 2)])
def test_sides_that_opencv_refuses_are_read_in_parts(size):
    image = picture(*size)
    to = scaled_size(size, 1.25)
    got = scaled(array_reader(image), size, to)(0, 0, *to)
    whole = F.interpolate(torch.tensor(image.transpose(2, 0, 1)[None]).float(), to, mode='bilinear')
    assert np.abs(got - whole[0].numpy().transpose(1, 2, 0)).max() <= 5


def test_a_scaled_reader_reads_what_it_needs_alone():
    image, asked = picture(400, 400), []

    def read(y0, x0, y1, x1):
        asked.append((y0, x0, y1, x1))
        return image[y0:y1, x0:x1]

    scaled(read, (400, 400), (200, 200))(50, 60, 60, 80)
    y0, x0, y1, x1 = asked[0]
    assert 98 <= y0 <= 100 and 120 <= y1 <= 122
    assert 118 <= x0 <= 120 and 160 <= x1 <= 162


def test_a_mirrored_reader():
    image = picture(20, 30)
    read = mirrored(array_reader(image), 30)
    np.testing.assert_array_equal(read(3, 4, 10, 30), image[:, ::-1][3:10, 4:30])


@pytest.mark.parametrize('test_cfg', [None, SLIDE], ids=['whole', 'slide'])
def test_probabilities_of_scales_are_averaged(test_cfg):
    predictor = Predictor(tiny_model(test_cfg=test_cfg))
    image = picture(40, 64)
    views = [
        predictor.predict(image, tta={'scales': [s], 'flip': False}, scores=True)
        for s in (0.75, 1, 1.25)
    ]
    result = predictor.predict(image, tta={'scales': [0.75, 1, 1.25], 'flip': False}, scores=True)
    mean = np.mean([view.scores for view in views], 0)
    np.testing.assert_allclose(result.scores, mean, atol=1e-5)
    np.testing.assert_allclose(result.scores.sum(0), 1, atol=1e-5)
    assert (result.map == mean.argmax(0)).mean() > 0.999
    assert result.confidence == pytest.approx(mean.max(0).mean(), abs=1e-5)
    plain = predictor.predict(image, scores=True)
    np.testing.assert_allclose(views[1].scores, plain.scores, atol=1e-5)


def test_true_is_three_scales_and_their_mirror_images():
    predictor = Predictor(tiny_model())
    image = picture(40, 64)
    for same in ([0.75, 1, 1.25], (0.75, 1.0, 1.25), dict(scales=[0.75, 1, 1.25], flip=True), {}):
        np.testing.assert_allclose(
            predictor.predict(image, tta=same, scores=True).scores,
            predictor.predict(image, tta=True, scores=True).scores,
        )


def test_a_mirrored_image_has_the_mirrored_result():
    predictor = Predictor(tiny_model())
    image = picture(40, 64)
    one = predictor.predict(image, tta=[1], scores=True)
    other = predictor.predict(image[:, ::-1].copy(), tta=[1], scores=True)
    np.testing.assert_allclose(one.scores, other.scores[..., ::-1], atol=1e-5)


def test_views_of_a_tiled_image(monkeypatch):
    predictor = Predictor(tiny_model(encoder='resnet'))
    image = picture(120, 160)
    whole = predictor.predict(image, tta=True, scores=True)
    monkeypatch.setattr(tiles, '_MOST_VALUES', 5 * 100 * 200)
    tiled = predictor.predict(image, tta=True, max_tokens=64, scores=True)
    np.testing.assert_allclose(tiled.scores, whole.scores, atol=0.15)
    assert (tiled.map == whole.map).mean() > 0.85


def test_strips_of_a_read_image_are_the_image():
    said = []
    predictor = Predictor(tiny_model(steps=[dict(type='Resize', scale=(32, 32))]))
    predictor._say = said.append
    plain = Predictor(predictor.model)
    image = picture(300, 90)
    strips = list(
        predictor.predict_strips(
            array_reader(image), (300, 90), name='r.tif', scores=True, max_tokens=64
        )
    )
    assert len(strips) > 3
    assert [strip.y0 for strip in strips] == [
        sum(len(one.map) for one in strips[:i]) for i in range(len(strips))
    ]
    assert said[0].startswith('r.tif: read in parts, so it is predicted at its own resolution')
    plain.model.image_steps = []
    whole = plain.predict(image, scores=True, max_tokens=64)
    np.testing.assert_array_equal(np.concatenate([s.map for s in strips]), whole.map)
    np.testing.assert_allclose(np.concatenate([s.scores for s in strips], 1), whole.scores)
    assert sum(s.confidence for s in strips) / whole.map.size == pytest.approx(whole.confidence)
