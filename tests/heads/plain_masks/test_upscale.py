"""Upscale blocks: sizes, and the values of a block written out."""

import torch
import torch.nn.functional as F

from rein_seg.heads.plain_masks.upscale import UpscaleBlock, num_upscales


def test_a_block_is_a_linear_to_four_pixels_then_a_depthwise_convolution_and_a_norm():
    torch.manual_seed(0)
    block, x = UpscaleBlock(6), torch.randn(2, 6, 3, 4)
    # each pixel becomes 2 x 2 pixels, without overlap
    pixels = torch.einsum('bchw,cdij->bdhiwj', x, block.conv1.weight).reshape(2, 6, 6, 8)
    pixels = F.gelu(pixels + block.conv1.bias[:, None, None])
    mixed = F.conv2d(pixels, block.conv2.weight, padding=1, groups=6)
    centred = mixed - mixed.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


def test_the_number_of_blocks_follows_the_patch():
    assert [num_upscales(stride) for stride in (4, 8, 14, 16, 32)] == [1, 1, 1, 2, 3]
