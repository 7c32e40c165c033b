"""Tiles cover an image of any size, their weights add up, and memory is bounded by a row."""

import numpy as np
import pytest
import torch

from rein_seg.apis import Predictor
from rein_seg.inference import tiles
from rein_seg.inference.tiles import Plan, make_plan, predict_rows
from tests.inference.pixels import array_reader, picture
from tests.inference.tiny_models import SLIDE, tiny_model

SIZES = [(1, 1), (33, 17), (64, 200), (200, 64), (301, 157), (8, 900)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('max_tokens', [16, 40, 64])
def test_tiles_cover_each_pixel_with_multiples_of_the_patch(size, max_tokens):
    model = tiny_model()
    plan = make_plan(model, size, max_tokens=max_tokens)
    tokens = -(-size[0] // 8) * -(-size[1] // 8)
    assert (plan.tile is None) == (tokens <= max_tokens)
    covered = np.zeros(size, int)
    for y0, y1, x0, x1 in plan.places:
        assert y0 < y1 <= size[0]
        assert x0 < x1 <= size[1]
        covered[y0:y1, x0:x1] += 1
    assert covered.min() >= 1
    if plan.tile is not None:
        assert all(side % 8 == 0 for side in (*plan.tile, *plan.stride))
        assert plan.tile[0] * plan.tile[1] <= max(max_tokens // 4, 4) * 64


@pytest.mark.parametrize(('start', 'stop'), [(0, 16), (12, 28), (24, 40)])
def test_ramps_of_neighbours_add_up_to_one(start, stop):
    weights = np.zeros(40)
    for first, last in ((0, 16), (12, 28), (24, 40)):
        weights[first:last] += tiles._ramp(first, last, 40, 4).numpy()
    np.testing.assert_allclose(weights[start:stop], 1, atol=1e-6)
    single = tiles._ramp(start, stop, 40, 4).numpy()
    assert (np.diff(single, 2)[4:-4] == 0).all()  # flat in the middle
    assert 0 < single.min() <= 1


class Echo(torch.nn.Module):
    """Predicts the pixels themselves: the result of any plan is the image."""

    def __init__(self, model):
        super().__init__()
        self.model, self.shapes = model, []

    def __call__(self, batch):
        self.shapes.append(tuple(batch.shape))
        return torch.cat([batch, batch[:, :2]], 1)


def echo(monkeypatch, test_cfg=None):
    model = tiny_model(test_cfg=test_cfg)
    calls = Echo(model)
    monkeypatch.setattr(model, 'encode_decode', lambda batch, metas=None: calls(batch))
    return model, calls


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('test_cfg', [None, SLIDE])
def test_blended_tiles_give_back_the_image(monkeypatch, size, test_cfg):
    if test_cfg is not None:
        monkeypatch.setattr(tiles, '_MOST_VALUES', 0)
    model, calls = echo(monkeypatch, test_cfg)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    plan = make_plan(model, size, max_tokens=16)
    rows = list(predict_rows(model, array_reader(image), plan))
    firsts = [first for first, _ in rows]
    assert firsts == sorted(firsts)
    values = torch.cat([part for _, part in rows], 1)
    whole = tiles.normalised(model, image)[0][0]
    torch.testing.assert_close(values[:3], whole, atol=1e-4, rtol=0)
    assert all(h % 8 == 0 and w % 8 == 0 for _, _, h, w in calls.shapes)
    assert max(len_ for len_, *_ in calls.shapes) <= 4


def test_rows_come_while_the_image_is_read(monkeypatch):
    model, _ = echo(monkeypatch)
    size, read = (400, 64), []
    image = np.zeros((*size, 3), np.uint8)

    def reader(y0, x0, y1, x1):
        read.append(y1)
        return image[y0:y1, x0:x1]

    plan = make_plan(model, size, max_tokens=64)
    reached = [
        (first + part.shape[1], max(read)) for first, part in predict_rows(model, reader, plan)
    ]
    assert len(reached) > 10
    # never more than a tile ahead of the rows that are done
    assert all(bottom <= done + plan.tile[0] for done, bottom in reached)


def test_windows_of_a_model_are_its_tiles(monkeypatch):
    """Above the limit of memory rows go one by one, with the result of mmseg's windows."""
    model = tiny_model(test_cfg=SLIDE)
    image = np.random.default_rng(0).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    predictor = Predictor(model)
    whole = predictor.predict(image, scores=True)
    monkeypatch.setattr(tiles, '_MOST_VALUES', 0)
    plan = make_plan(model, (90, 110))
    assert (plan.tile, plan.stride, plan.ramp) == ((32, 32), (24, 24), (0, 0))
    rows = predictor.predict(image, scores=True)
    np.testing.assert_allclose(rows.scores, whole.scores, atol=1e-5)
    assert (rows.map == whole.map).mean() > 0.999


def test_fitted_windows_of_a_model_see_the_whole_image(monkeypatch):
    model = tiny_model(test_cfg=dict(mode='fit_slide', crop_size=(32, 32)))
    monkeypatch.setattr(tiles, '_MOST_VALUES', 0)
    assert make_plan(model, (90, 110), max_tokens=16).tile is None
    image = np.random.default_rng(0).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    assert Predictor(model).predict(image).map.shape == (90, 110)


def test_tiles_agree_with_the_whole_image_and_are_said_once():
    said = []
    predictor = Predictor(tiny_model(encoder='resnet'))
    predictor._say = said.append
    image = picture(160, 240)
    whole, tiled = predictor.predict(image), predictor.predict(image, max_tokens=140)
    assert len(said) == 1
    assert said[0].startswith('image: 160 x 240 pixels are predicted in 4 x 7 tiles of 64 x 64')
    assert (whole.map == tiled.map).mean() > 0.9
    assert tiled.confidence == pytest.approx(whole.confidence, abs=0.05)


def test_tiles_have_the_size_of_the_training_crop():
    model = tiny_model(crop=(64, 126))
    plan = make_plan(model, (500, 900), max_tokens=200)
    assert (plan.tile, plan.stride, plan.ramp) == ((64, 128), (56, 112), (8, 16))
    plan = make_plan(model, (500, 900), max_tokens=100)  # the crop has 128 patches
    assert plan.tile == (40, 40)
    assert make_plan(model, (64, 126), max_tokens=200).tile is None


def test_a_very_wide_image_has_lower_tiles():
    model = tiny_model(num_classes=300)
    plan = make_plan(model, (5000, 60000))
    assert plan.tile[0] < plan.tile[1]
    assert 300 * 60000 * plan.tile[0] <= 2**27 or plan.tile[0] == 2 * plan.ramp[0]


def test_a_plan_says_its_tiles():
    plan = Plan((100, 200), tile=(64, 64), stride=(48, 48), ramp=(16, 16))
    assert str(plan) == '2 x 4 tiles of 64 x 64 pixels (height x width)'
