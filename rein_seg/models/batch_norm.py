"""A right gradient of batch norms on CPUs.

B batch, C channels, H x W map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def guard_batch_norms(module: nn.Module) -> None:
    """Has every batch norm below ``module`` get its gradient in contiguous memory, on CPUs.

    For a single image PyTorch (2.14.1, and others) returns a wrong gradient, without an error, if
    the input is contiguous, and the incoming gradient is channels-last with another batch stride
    than C H W, as cutting out padding makes it.

    Example:
        >>> import torch
        >>> from rein_seg.models.batch_norm import guard_batch_norms
        >>> norm, x = torch.nn.BatchNorm2d(4).eval(), torch.randn(1, 4, 3, 5, requires_grad=True)
        >>> guard_batch_norms(norm)
        >>> gradient = torch.empty_strided((1, 4, 3, 5), (4, 1, 20, 4)).fill_(2.0)
        >>> norm(x).backward(gradient)
        >>> torch.allclose(x.grad, torch.full_like(x, 2.0), rtol=1e-4)
        True
    """
    for child in module.modules():
        hooks = child._forward_hooks.values()
        if isinstance(child, _BatchNorm) and _in_contiguous_memory not in hooks:
            # first: a method's hook may replace the output
            child.register_forward_hook(_in_contiguous_memory, prepend=True)


def _in_contiguous_memory(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
    affected = output.device.type == 'cpu' and len(output) == 1 and output.requires_grad
    if affected and not torch.compiler.is_compiling():  # compiled, it is another kernel
        output.register_hook(Tensor.contiguous)
