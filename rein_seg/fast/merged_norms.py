"""Batch norms merged into the convolutions before them, for predictions.

docs/background/performance.md has the gain for DDRNet-23-slim.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from rein_seg.errors import UserError

Pair = tuple[nn.Conv2d, nn.BatchNorm2d]
_NEAR = 1e-3  # of the largest value


def merge_norms(model: nn.Module, run: Callable[[nn.Module], Tensor]) -> nn.Module:
    """Returns a copy for predictions: batch norms merged into convolutions, channels last.

    A pair is found while the model runs: the norm reads exactly what the convolution gave. The
    norms become `nn.Identity`. Left as they are: norms behind anything else, modules that run
    several times, and convolutions that a method is hooked to (merge the method first).

    Args:
        model: Any module; it stays as it is.
        run: Passes an input through a model, and returns a tensor of its output.

    Raises:
        UserError: If the copy computes something else: the model reads the output of a convolution
            in front of its norm, too.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from rein_seg.fast.merged_norms import merge_norms
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        >>> merge_norms(model, lambda m: m(torch.ones(1, 3, 8, 8)))
        Sequential(
          (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
          (1): Identity()
          (2): ReLU()
        )
    """
    twin = copy.deepcopy(model)
    twin.eval()  # ResNet of mmseg returns None
    with torch.no_grad():
        pairs, expected = _find_pairs(twin, run)
        for conv, norm in pairs:
            _merge(conv, norm)
        _replace(twin, [norm for _, norm in pairs])
        twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = run(twin)
    error, scale = (found - expected).abs().max(), expected.abs().max()
    if not error <= _NEAR * scale:
        raise UserError(
            f'merge_norms: the merged {type(model).__name__} differs by {error:.2g} of '
            f'{scale:.2g}: it reads a convolution before its batch norm, so leave it as it is'
        )
    return twin


def _find_pairs(model: nn.Module, run: Callable[[nn.Module], Tensor]) -> tuple[list[Pair], Tensor]:
    """Returns the pairs of a pass, and its output."""
    made: list[tuple[nn.Conv2d, Tensor]] = []
    pairs: list[Pair] = []
    calls: Counter[nn.Module] = Counter()

    def watch(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        calls[module] += 1
        if isinstance(module, nn.Conv2d):
            made[:] = [(module, output)]
        elif isinstance(module, nn.BatchNorm2d) and made and made[0][1] is args[0]:
            pairs.append((made[0][0], module))

    handles = [m.register_forward_hook(watch) for m in model.modules() if _takes_part(m)]
    output = run(model)
    for handle in handles:
        handle.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1], output


def _takes_part(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return not module._forward_hooks  # a method's hook changes the output
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


def _merge(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    statistics = norm.running_mean, norm.running_var, norm.eps
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, *statistics, norm.weight, norm.bias
    )


def _replace(model: nn.Module, norms: list[nn.Module]) -> None:
    """Puts identities in the places of norms, with their hooks."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if any(child is norm for norm in norms):
                identity = nn.Identity()
                identity._forward_hooks = child._forward_hooks
                identity._forward_pre_hooks = child._forward_pre_hooks
                setattr(parent, name, identity)
