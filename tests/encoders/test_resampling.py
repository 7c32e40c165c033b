"""Kernels and positions of other sizes, against values by hand."""

import pytest
import torch

from rein_seg.encoders.resampling import resize_patch_kernel, resize_positions
from rein_seg.errors import UserError


def test_patch_kernel_keeps_a_flat_one_and_grows_its_sum():
    flat = torch.full((2, 3, 14, 14), 0.5)
    resized = resize_patch_kernel(flat, (16, 16))
    torch.testing.assert_close(resized, torch.full((2, 3, 16, 16), 0.5))
    assert resize_patch_kernel(flat, (14, 14)) is flat
    # by hand: target 3 of 8 lies at source 3.5 * 4 / 8 - 0.5 = 1.25; cubic with a = -0.75
    step = torch.tensor([0.0, 0, 1, 1]).expand(1, 1, 4, 4)
    t, a = 0.25, -0.75
    near = (a + 2) * (1 - t) ** 3 - (a + 3) * (1 - t) ** 2 + 1
    far = a * (2 - t) ** 3 - 5 * a * (2 - t) ** 2 + 8 * a * (2 - t) - 4 * a
    value = resize_patch_kernel(step, (8, 8))[0, 0, 4, 3].item()
    assert value == pytest.approx(near + far)


def test_positions_against_values_by_hand():
    table = torch.tensor([9.0, 0, 1, 2, 3]).reshape(1, 5, 1)  # class row, then 2 x 2
    doubled = resize_positions(table, (2, 4), mode='bilinear').flatten().tolist()
    assert doubled == [9, 0, 0.25, 0.75, 1, 2, 2.25, 2.75, 3]
    halved = resize_positions(table, (1, 2), mode='bilinear').flatten().tolist()
    assert halved == [9, 1, 2]
    assert resize_positions(table, (2, 2)) is table
    assert resize_positions(table[:, 1:], (1, 2), num_prefix=0, mode='bilinear').shape == (1, 2, 1)
    with pytest.raises(UserError, match='have 3 patch rows'):
        resize_positions(table[:, :4], (2, 2))
    assert resize_positions(table[:, :4], (1, 3)).shape == (1, 4, 1)
    assert resize_positions(table, (1, 4)) is not table
    assert resize_positions(table, (1, 4), same_grid=True) is table
