"""Upscale blocks as products of pixels, against PyTorch's transposed convolution."""

import pytest
import torch

from rein_seg.fast.dispatch import without
from rein_seg.fast.upscaled_rows import doubled
from rein_seg.heads.plain_masks.upscale import UpscaleBlock
from tests.fast.forms import assert_form_is_plain, assert_same


def parameter_gradients(block, x):
    block.zero_grad()
    out = block(x)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return {name: each.grad.clone() for name, each in block.named_parameters()}


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_block_and_its_gradients_are_the_plain_ones(layout):
    block = UpscaleBlock(6)
    torch.nn.init.normal_(block.conv1.bias)
    torch.nn.init.normal_(block.norm.weight)
    x = torch.randn(2, 6, 3, 5).contiguous(memory_format=layout)
    assert_form_is_plain(block, [x], name='upscaled_rows')
    found = parameter_gradients(block, x)
    with without('upscaled_rows'):
        expected = parameter_gradients(block, x)
    assert found.keys() == expected.keys() == dict(block.named_parameters()).keys()
    assert_same(found.values(), expected.values(), rtol=1e-4, atol=1e-4)


def test_every_pixel_becomes_four_by_hand():
    weight = torch.arange(8.0).view(2, 1, 2, 2)  # of two channels one
    x = torch.zeros(1, 2, 1, 2)
    x[0, :, 0, 0], x[0, :, 0, 1] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 10.0])
    found = doubled(x, weight, torch.tensor([0.5]))
    assert found[0, ..., 0].tolist() == [[0.5, 1.5, 40.5, 50.5], [2.5, 3.5, 60.5, 70.5]]


def test_bfloat16_under_autocast():
    block, x = UpscaleBlock(8), torch.randn(1, 8, 4, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = block(x)
        with without('upscaled_rows'):
            expected = block(x)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found.float(), expected.float(), rtol=0.05, atol=0.1)
