"""Counts the parameters of a module that train."""

from __future__ import annotations

from torch import nn


def describe_trainable_parameters(module: nn.Module) -> str:
    """Returns the numbers of trainable and of all parameters, and their ratio, in one line.

    Example:
        >>> from torch import nn
        >>> from rein_seg.library.parameters import describe_trainable_parameters
        >>> module = nn.Sequential(nn.Linear(9, 100).requires_grad_(False), nn.Linear(100, 10))
        >>> describe_trainable_parameters(module)
        'trainable params: 1,010 || all params: 2,010 || trainable%: 50.2488'
    """
    total = sum(p.numel() for p in module.parameters())
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    share = 100 * trained / total if total else 0.0
    return f'trainable params: {trained:,} || all params: {total:,} || trainable%: {share:.4f}'


def print_trainable_parameters(module: nn.Module) -> None:
    """Prints the numbers of trainable and of all parameters of any module.

    Example:
        >>> from torch import nn
        >>> import rein_seg
        >>> rein_seg.print_trainable_parameters(nn.Linear(2, 3))
        trainable params: 9 || all params: 9 || trainable%: 100.0000
    """
    print(describe_trainable_parameters(module))  # noqa: T201
