"""Inserted tokens of a map: further rows below it.

B batch, M tokens, C channels, H x W map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def join_prompts(x: Tensor, tokens: Tensor) -> Tensor:
    """Appends tokens to a map as further rows, so that norms and linears process them, too.

    Args:
        x: (B, H, W, C).
        tokens: (B, M, C); zeros fill the last row.

    Returns:
        (B, H + ceil(M / W), W, C).

    Example:
        >>> import torch
        >>> from rein_seg.prompt_rows import join_prompts
        >>> join_prompts(torch.zeros(1, 4, 6, 16), torch.ones(1, 8, 16)).shape
        torch.Size([1, 6, 6, 16])
    """
    width = x.shape[2]
    filled = F.pad(tokens, (0, 0, 0, -tokens.shape[1] % width))
    return torch.cat((x, filled.unflatten(1, (-1, width)).to(x.dtype)), dim=1)


def split_prompts(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Takes ``count`` tokens off a map: the inverse of `join_prompts`.

    Args:
        x: (B, H + ceil(M / W), W, C).
        count: M.

    Returns:
        (B, H, W, C) and (B, M, C).

    Example:
        >>> import torch
        >>> from rein_seg.prompt_rows import join_prompts, split_prompts
        >>> joined = join_prompts(torch.zeros(1, 4, 6, 16), torch.ones(1, 8, 16))
        >>> [part.shape for part in split_prompts(joined, 8)]
        [torch.Size([1, 4, 6, 16]), torch.Size([1, 8, 16])]
    """
    height = x.shape[1] - prompt_rows(count, x.shape[2])
    return x[:, :height], x[:, height:].flatten(1, 2)[:, :count]


def prompt_rows(count: int, width: int) -> int:
    """Returns the number of rows of a map that ``count`` tokens fill.

    Example:
        >>> from rein_seg.prompt_rows import prompt_rows
        >>> prompt_rows(8, width=6)
        2
    """
    return -(-count // width)
