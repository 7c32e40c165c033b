"""Relative positions in queries and keys against the bias of all pairs, and against its formula."""

import contextlib

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders.sam.attention import attend_with_positions, by_distance
from rein_seg.fast.dispatch import without
from tests.fast.forms import assert_form_is_plain, assert_same, outcome


def attend(q, k, v, table_h, table_w, grid):
    rows, columns = by_distance(table_h, grid[0]), by_distance(table_w, grid[1])
    return attend_with_positions(q, k, v, rows, columns)


def naive(q, k, v, table_h, table_w, grid):
    height, width = grid
    tables = [
        F.interpolate(t.t()[None], size=2 * side - 1, mode='linear')[0].t()
        for t, side in ((table_h, height), (table_w, width))
    ]
    bias = torch.stack(
        [
            q[:, :, i] @ (tables[0][i // width - j // width + height - 1]
                          + tables[1][i % width - j % width + width - 1])
            for i in range(height * width)
            for j in range(height * width)
        ],
        dim=-1,
    ).unflatten(-1, (height * width, -1))  # fmt: skip
    return ((q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5 + bias).softmax(-1) @ v


@pytest.mark.parametrize('grid', [(4, 4), (3, 5)])
@pytest.mark.parametrize('form', ['fast', 'plain'])
def test_both_forms_are_the_formula_with_gradients(form, grid):
    """From tables made for another grid, too."""
    count = grid[0] * grid[1]
    shapes = [(2, 2, count, 6)] * 3 + [(7, 6), (11, 6)]
    given = [torch.randn(s, dtype=torch.float64) for s in shapes]
    with without('appended_positions') if form == 'plain' else contextlib.nullcontext():
        found = outcome(attend, given, grid)
    assert_same(found, outcome(naive, given, grid), rtol=1e-6, atol=1e-6)


def test_both_forms_agree_on_prompts():
    shapes = [(2, 2, 3 + 15, 6)] * 3 + [(3, 3, 6), (5, 5, 6)]
    given = [torch.randn(s) for s in shapes]
    assert_form_is_plain(attend_with_positions, given, 3, name='appended_positions')


def test_no_tensor_of_all_pairs_is_made():
    shapes = [(1, 1, 64, 8)] * 3 + [(8, 8, 8)] * 2
    with torch.profiler.profile(record_shapes=True) as profile:
        attend_with_positions(*map(torch.randn, shapes))
    sizes = [shape for event in profile.events() for shape in event.input_shapes]
    assert not [shape for shape in sizes if shape[-2:] == [64, 64]]
