"""Scores of classes from masks, against the plain form; in bfloat16."""

import contextlib

import pytest
import torch
import torch.nn.functional as F

from rein_seg.fast import combined_masks
from rein_seg.fast.dispatch import without
from rein_seg.heads.mask2former.masks import combine
from tests.fast.forms import assert_form_is_plain


def test_scores_are_the_plain_ones():
    classes, masks = torch.rand(2, 5, 3), torch.randn(2, 5, 4, 6)
    assert combine(classes, masks, (9, 13)).shape == (2, 3, 9, 13)
    assert_form_is_plain(combine, [classes, masks], (9, 13), name='combined_masks')


@pytest.mark.parametrize('queries', [1, 31, 32, 33, 100])
def test_scores_are_added_up_in_place_some_queries_at_a_time(queries, monkeypatch):
    classes, masks, sizes = torch.rand(1, queries, 3), torch.randn(1, queries, 4, 6), []
    with without('combined_masks'):
        expected = combine(classes, masks, (8, 12))
    enlarge = F.interpolate
    monkeypatch.setattr(
        F, 'interpolate', lambda x, **how: sizes.append(x.shape[1]) or enlarge(x, **how)
    )
    with torch.no_grad():
        found = combine(classes, masks, (8, 12))
    assert sum(sizes) == queries
    assert max(sizes) <= combined_masks.AT_ONCE
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('form', [contextlib.nullcontext(), without('combined_masks')])
def test_scores_of_bfloat16_predictions_are_summed_in_float32(form):
    """Summed in bfloat16, neighbouring classes tie and the first wins."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(1, 100, 19, generator=generator).softmax(-1)
    masks = torch.randn(1, 100, 8, 8, generator=generator).bfloat16()
    with form:
        with torch.autocast('cpu', dtype=torch.bfloat16):
            scores = combine(classes, masks, (64, 64))
        assert torch.equal(scores, combine(classes, masks.float(), (64, 64)))
    best = scores.topk(2, dim=1).values
    assert (best[:, 0] == best[:, 1]).float().mean() < 1e-3
