"""A multi-layer perceptron with the parameter names of SAM's and MaskFormer's official code."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Linears with ReLUs between.

    Args:
        *widths: Of the input, of each hidden layer, of the output.

    Shapes:
        (..., first width) -> (..., last width).

    Example:
        >>> import torch
        >>> from rein_seg.heads.mlp import MLP
        >>> MLP(8, 16, 4)(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 4])
    """

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., last width) of (..., first width)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
