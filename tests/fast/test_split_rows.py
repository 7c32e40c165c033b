"""Attention in two calls against one dense mask: values and gradients, wherever the rows lie."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders.masked_attention import attend
from rein_seg.fast import split_rows
from rein_seg.structures import RowMask


@pytest.mark.parametrize(('start', 'rows'), [(0, 1), (3, 4), (8, 1), (0, 9)])
def test_values_and_gradients_are_those_of_a_dense_mask(start, rows):
    generator = torch.Generator().manual_seed(start + rows)
    inputs = [torch.randn(2, 3, 9, 5, generator=generator).requires_grad_() for _ in range(3)]
    allowed = torch.rand(2, rows, 9, generator=generator) > 0.5
    allowed[..., 0] = True  # no row is empty
    slope, found = torch.randn(2, 3, 9, 5, generator=generator), []
    for form in (attend.plain, split_rows.attend):
        out = form(F.scaled_dot_product_attention, *inputs, RowMask(start, allowed))
        found.append((out, *torch.autograd.grad((out * slope).sum(), inputs)))
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-6)
    assert not allowed.all()


def test_dropout_stays_with_the_plain_form():
    x, rows = torch.zeros(1, 1, 2, 4), RowMask(0, torch.ones(1, 1, 2, dtype=torch.bool))
    given = F.scaled_dot_product_attention, x, x, x, rows
    assert split_rows.applies(*given, dropout_p=0.0)
    assert not split_rows.applies(*given, dropout_p=0.1)
