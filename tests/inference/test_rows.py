"""Rows that pass by are resized, averaged and labelled as the whole image would be."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rein_seg.inference import rows
from rein_seg.inference.rows import mean_rows, resize_rows
from tests.inference.tiny_models import tiny_model


def in_portions(values, heights):
    first = 0
    for height in heights:
        yield first, values[:, first : first + height]
        first += height
    assert first == values.shape[1]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('to', [(40, 60), (7, 9), (20, 31), (101, 3), (1, 1), (20, 30)])
@pytest.mark.parametrize('heights', [[20], [1] * 20, [3, 10, 1, 6]])
def test_resizing_in_portions_is_resizing_whole(monkeypatch, align_corners, to, heights):
    monkeypatch.setattr(rows, '_MOST_VALUES', 900)
    values = torch.randn(4, 20, 30)
    got = list(resize_rows(in_portions(values, heights), (20, 30), to, align_corners=align_corners))
    assert [first for first, _ in got] == [
        sum(part.shape[1] for _, part in got[:i]) for i in range(len(got))
    ]
    expected = F.interpolate(values[None], size=to, mode='bilinear', align_corners=align_corners)[0]
    torch.testing.assert_close(torch.cat([part for _, part in got], 1), expected)


def test_the_mean_does_not_depend_on_portions():
    a, b, c = torch.randn(3, 2, 12, 5)
    streams = [in_portions(a, [12]), in_portions(b, [5, 7]), in_portions(c, [1, 2, 9])]
    got = list(mean_rows(streams))
    assert [first for first, _ in got] == [0, 1, 3, 5]
    torch.testing.assert_close(torch.cat([part for _, part in got], 1), (a + b + c) / 3)


@pytest.mark.parametrize('probabilities', [False, True])
def test_labels_of_one_channel_are_above_the_threshold(monkeypatch, probabilities):
    monkeypatch.setattr(rows, '_MOST_VALUES', 40)
    head = tiny_model(dict(type='LinearHead', out_channels=1), 2).heads['decode']
    head.threshold = 0.3
    logits = torch.randn(1, 9, 11)
    values = logits.sigmoid() if probabilities else logits
    parts = list(
        rows.label_rows(iter([(0, values)]), head, scores=True, are_probabilities=probabilities)
    )
    assert len(parts) == 3
    label = np.concatenate([part.map for part in parts])
    np.testing.assert_array_equal(label, (logits[0].sigmoid() > 0.3).numpy())
    scores = np.concatenate([part.scores for part in parts], 1)
    assert scores.shape == (2, 9, 11)
    np.testing.assert_allclose(scores[1], logits[0].sigmoid().numpy(), atol=1e-6)
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-6)
    assert sum(part.confidence for part in parts) == pytest.approx(scores.max(0).sum(), rel=1e-5)
