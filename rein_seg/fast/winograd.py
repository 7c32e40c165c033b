"""3x3 convolutions on a CPU with a quarter of the products: Winograd's F(4, 3).

cuDNN has its own. Measured: 256 channels at 128x128, forward and backward, 268 -> 223 ms on two
threads, 820 -> 360 ms on one.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016).

O output, C input channels, H x W map, T tiles of 4 x 4 outputs, of 36 products each.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

# with these points rounding errors are as small as F.conv2d's on a map with channels last
POINTS = (0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)
TILE, TAPS = 4, 6  # outputs of a tile, and the inputs that they need, along one axis


def applies(module: Any, x: Tensor) -> bool:
    """Tells whether Winograd's products are the faster way for the convolution of a `ConvGN`.

    On a CPU in float32, for 3x3 kernels and maps in whole tiles that are large enough to pay for
    the transforms.
    """
    weight = module.conv.weight
    plain = x.device.type == 'cpu' and x.dtype == weight.dtype == torch.float32
    whole = x.shape[-1] % TILE == 0 and x.shape[-2] % TILE == 0
    large = min(weight.shape[:2]) >= 128 and x.shape[-2:].numel() >= 4096
    small_kernel = module.conv.kernel_size == (3, 3)
    return small_kernel and plain and whole and large and not torch.is_autocast_enabled('cpu')


def convolve(module: Any, x: Tensor) -> Tensor:
    """Computes `ConvGN.convolve`: (B, C, H, W) -> (B, O, H, W)."""
    out = Winograd.apply(x, module.conv.weight)
    bias = module.conv.bias
    return out if bias is None else out + bias[:, None, None]


class Winograd(torch.autograd.Function):
    """Winograd's products between transforms of the tiles, one image after the other.

    It reads maps with their channels last fastest; its result has them first.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        """Returns (B, O, H, W)."""
        filters = _transforms()[2]
        factors = _along_both(filters, weight.permute(2, 3, 0, 1)).flatten(0, 1)
        images, moved = [], []
        for image in x:
            values = _to_products(image)
            if ctx.needs_input_grad[1]:
                moved.append(values)
            products = torch.bmm(factors, values.transpose(1, 2))
            del values  # each is as large as twice the image
            images.append(_to_outputs(products, _grid(image)))
            del products
        ctx.save_for_backward(factors, *moved)
        return torch.stack(images)

    @staticmethod
    @torch.autograd.function.once_differentiable
    @torch.compiler.disable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Returns the gradients of the map and of the weight."""
        outputs, _, filters = _transforms()
        factors, *moved = ctx.saved_tensors
        wants_map, wants_weight = ctx.needs_input_grad
        grad_map, grad_factors = [], torch.zeros_like(factors)
        for i, image in enumerate(grad):
            products = _along_both(outputs.T, _to_blocks(image)).view(TAPS**2, len(image), -1)
            if wants_weight:
                grad_factors.baddbmm_(products, moved[i])
            if wants_map:
                each = torch.bmm(products.transpose(1, 2), factors)
                grad_map.append(_from_products(each, _grid(image)))
        grad_weight = _along_both(filters.T, grad_factors.view(TAPS, TAPS, *factors.shape[1:]))
        return (
            torch.stack(grad_map).permute(0, 3, 1, 2) if wants_map else None,
            grad_weight.permute(2, 3, 0, 1) if wants_weight else None,
        )


@lru_cache
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Returns the transforms of one axis: products -> outputs, inputs and filters -> products.

    (4, 6), (6, 6) and (6, 3). Along one axis a tile is a product of polynomials, known by its
    values at `POINTS` and at infinity.
    """
    finite = np.array(POINTS)
    outputs = np.zeros((TILE, TAPS))
    inputs = np.zeros((TAPS, TAPS))
    filters = np.zeros((TAPS, 3))
    for i, point in enumerate(finite):
        others = np.delete(finite, i)
        outputs[:, i] = point ** np.arange(TILE)
        inputs[i, :-1] = np.poly(others)[::-1]
        filters[i] = point ** np.arange(3) / np.prod(point - others)
    outputs[-1, -1] = filters[-1, -1] = 1
    inputs[-1] = np.poly(finite)[::-1]
    return tuple(torch.tensor(each, dtype=torch.float32) for each in (outputs, inputs, filters))


def _along_both(transform: Tensor, x: Tensor) -> Tensor:
    """Transforms the first two axes of (J, J, ...) with (I, J): (I, I, ...)."""
    shape = (len(transform), len(transform), *x.shape[2:])
    x = (transform @ x.reshape(len(x), -1)).view(len(transform), x.shape[1], -1)
    return (transform @ x).view(shape)


# Inputs of a tile along one axis: taps 1 to 4 are its own block, tap 0 is the last pixel of the
# block before, tap 5 the first pixel of the block after.
_OWN = (slice(1, 5), slice(0, 4), slice(None), slice(None))
_BEFORE = (slice(0, 1), slice(3, 4), slice(1, None), slice(None, -1))
_AFTER = (slice(5, 6), slice(0, 1), slice(None, -1), slice(1, None))
_NEIGHBOURS = list(itertools.product((_OWN, _BEFORE, _AFTER), repeat=2))


def _to_products(image: Tensor) -> Tensor:
    """Transforms a (C, H, W) map to (36, T, C)."""
    return _along_both(_transforms()[1], _to_taps(image)).flatten(2, 3).flatten(0, 1)


def _to_taps(image: Tensor) -> Tensor:
    """Returns (6, 6, H / 4, W / 4, C): the inputs of each tile of a (C, H, W) map."""
    blocks = _to_blocks(image).permute(0, 1, 3, 4, 2)
    taps = blocks.new_zeros(TAPS, TAPS, *blocks.shape[2:])
    for (tap, pixel, to, of), (tap_, pixel_, to_, of_) in _NEIGHBOURS:
        taps[tap, tap_, to, to_] = blocks[pixel, pixel_, of, of_]
    return taps


def _to_outputs(products: Tensor, grid: tuple[int, int]) -> Tensor:
    """Transforms (36, O, T) to the (O, H, W) map."""
    return _from_blocks(_along_both(_transforms()[0], products.view(TAPS, TAPS, -1, *grid)))


def _from_products(products: Tensor, grid: tuple[int, int]) -> Tensor:
    """Sums (36, T, C) up to (H, W, C): `_to_products` transposed, but for the order of the axes."""
    taps = _along_both(_transforms()[1].T, products.view(TAPS, TAPS, *grid, -1))
    blocks = taps[1:5, 1:5]
    for (tap, pixel, to, of), (tap_, pixel_, to_, of_) in _NEIGHBOURS[1:]:
        blocks[pixel, pixel_, of, of_] += taps[tap, tap_, to, to_]
    return blocks.permute(2, 0, 3, 1, 4).flatten(2, 3).flatten(0, 1)


def _grid(image: Tensor) -> tuple[int, int]:
    return image.shape[-2] // TILE, image.shape[-1] // TILE


def _to_blocks(image: Tensor) -> Tensor:
    """Splits (C, H, W) into (4, 4, C, H / 4, W / 4): the pixels of a block, then its place."""
    rows, columns = _grid(image)
    return image.reshape(-1, rows, TILE, columns, TILE).permute(2, 4, 0, 1, 3)


def _from_blocks(blocks: Tensor) -> Tensor:
    """Undoes `_to_blocks`."""
    _, _, channels, rows, columns = blocks.shape
    return blocks.permute(2, 3, 0, 4, 1).reshape(channels, rows * TILE, columns * TILE)
