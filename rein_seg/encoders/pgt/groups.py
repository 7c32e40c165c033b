"""Rectangles of a token map: the groups of PGT's attention.

B batch, H x W grid, H' x W' padded grid, M prompts, C = n d channels, n heads, d channels of one
head, g groups along a side, L = H' W' / g^2 tokens of a group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# added to scores of padded keys: its exponential is 0, and every float type can hold it
_HIDDEN = -1e4


@dataclass(frozen=True)
class Groups:
    """g x g equal rectangles of a map, with the prompts of the image in each.

    Attributes:
        side: g.
        heads: n.
        prompts: M, in front of the map's tokens.
        grid: (H, W).

    Example:
        >>> import torch
        >>> from rein_seg.encoders.pgt.groups import Groups
        >>> groups = Groups(side=2, heads=1, prompts=0, grid=(2, 3))
        >>> groups.padded
        (2, 4)
        >>> x = torch.arange(6.0).view(1, 6, 1)
        >>> groups.cut(x)[0, :, :, 0]
        tensor([[0., 1.],
                [2., 0.],
                [3., 4.],
                [5., 0.]])
        >>> torch.equal(groups.join(groups.cut(x)), x)
        True
    """

    side: int
    heads: int
    prompts: int
    grid: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """The nearest (H', W') from (H, W) upwards that g divides."""
        height, width = self.grid
        return height + -height % self.side, width + -width % self.side

    def cut(self, x: Tensor, *, filled: float = 0.0) -> Tensor:
        """Returns (B, g g n, M+L, d): the heads of each group, the prompts in front of its tokens.

        Args:
            x: (B, M+HW, C).
            filled: Value of the padding at the bottom and at the right.
        """
        (height, width), padded, g = self.grid, self.padded, self.side
        tokens = x[:, self.prompts :].unflatten(1, self.grid)
        tokens = F.pad(tokens, (0, 0, 0, padded[1] - width, 0, padded[0] - height), value=filled)
        tokens = tokens.unflatten(3, (self.heads, -1)).unflatten(2, (g, -1)).unflatten(1, (g, -1))
        # (B, g, row, g, column, n, d) -> (B, g, g, n, row, column, d)
        tokens = tokens.permute(0, 1, 3, 5, 2, 4, 6).flatten(4, 5).flatten(1, 3)
        if not self.prompts:
            return tokens
        ahead = x[:, : self.prompts].unflatten(2, (self.heads, -1)).transpose(1, 2)
        return torch.cat((ahead.repeat(1, g * g, 1, 1), tokens), dim=2)

    def join(self, y: Tensor) -> Tensor:
        """Returns (B, M+HW, C) of `cut` groups, without their padding.

        A prompt becomes its mean over the groups, except groups of padding alone.
        """
        (height, width), padded, g = self.grid, self.padded, self.side
        tokens = y[:, :, self.prompts :].unflatten(2, (padded[0] // g, padded[1] // g))
        tokens = tokens.unflatten(1, (g, g, self.heads)).permute(0, 1, 4, 2, 5, 3, 6)
        tokens = tokens.flatten(5, 6).flatten(3, 4).flatten(1, 2)[:, :height, :width].flatten(1, 2)
        if not self.prompts:
            return tokens
        # groups that hold a token of the map
        rows, columns = (
            -(-length * g // whole) for length, whole in zip(self.grid, padded, strict=True)
        )
        ahead = y[:, :, : self.prompts].unflatten(1, (g, g, self.heads))
        ahead = ahead[:, :rows, :columns].mean((1, 2))  # (B, n, M, d)
        return torch.cat((ahead.transpose(1, 2).flatten(2), tokens), dim=1)

    def mask(self, like: Tensor) -> Tensor | None:
        """Returns the (1, g g n, 1, M+L) bias that hides padded keys, or None without padding.

        Args:
            like: Tensor whose type and device the bias gets.
        """
        if self.padded == self.grid:
            return None
        seen = like.new_zeros(1, self.prompts + self.grid[0] * self.grid[1], self.heads)
        return self.cut(seen, filled=_HIDDEN).transpose(2, 3)
