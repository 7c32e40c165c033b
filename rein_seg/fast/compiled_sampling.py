"""Deformable sampling by mmcv's compiled operation on a GPU, where mmcv was built with it.

Not measured: the packages that we install are pure Python.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import torch
from mmengine.logging import print_log
from torch import Tensor

Sizes = tuple[tuple[int, int], ...]


def applies(value: Tensor, *arguments: object) -> bool:
    """Tells whether the value is on a GPU and mmcv has the operation."""
    return value.is_cuda and compiled_op() is not None


@lru_cache
def compiled_op() -> type | None:
    """Returns mmcv's compiled operation, or None where mmcv is pure Python, as we install it."""
    if find_spec('mmcv._ext') is None:
        return None
    try:
        from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
    except ImportError as error:
        print_log(f'deformable attention in plain PyTorch: mmcv._ext is there, but {error}')
        return None
    return MultiScaleDeformableAttnFunction


def sample(
    value: Tensor, offsets: Tensor, weights: Tensor, reference: Tensor, sizes: Sizes
) -> Tensor:
    """Computes `deform_sample` of the pixel decoder: its arguments, its result."""
    shapes = torch.as_tensor(sizes, device=value.device)
    areas = shapes.prod(1)
    places = reference[:, None, None, None] + offsets / shapes.flip(1)[:, None]  # (x, y) in 0..1
    arguments = (shapes, areas.cumsum(0) - areas, places, weights, 64)
    return compiled_op().apply(value.contiguous(), *arguments).view(*offsets.shape[:3], -1)
