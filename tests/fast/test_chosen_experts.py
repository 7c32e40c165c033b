"""Experts on the rows that chose them against every expert on every row."""

import pytest
import torch

from rein_seg.peft.parts.mixture import Experts
from tests.fast.forms import assert_form_is_plain


@pytest.mark.parametrize('with_gates', [True, False])
def test_the_sum_is_the_plain_one(with_gates):
    experts, d = Experts(4, (1, 2, 3), mode='bicubic'), torch.randn(5, 4, 3, 6)
    chosen = torch.tensor([[0, 2], [2, 0], [0, 2], [2, 0], [0, 2]])  # never the second
    gates = torch.zeros(5, 3).scatter(1, chosen, torch.rand(5, 2)) if with_gates else None
    assert_form_is_plain(experts, [d], chosen, gates, name='chosen_experts')


def test_an_expert_that_no_row_chose_does_not_run():
    experts, seen = Experts(4, (1, 2, 3), mode='bicubic'), []
    convolve = experts.convolve
    experts.convolve = lambda d, *rest, **kw: seen.append(len(d)) or convolve(d, *rest, **kw)
    experts(torch.randn(5, 4, 3, 6), torch.tensor([[0], [2], [0], [2], [2]]), None)
    assert seen == [2, 3]
