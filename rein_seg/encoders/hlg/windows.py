"""Windows of HLG: neighbours, or members spread over the whole map.

B batch, H x W map, C channels, n_h x n_w windows of m_h x m_w members, nW = n_h n_w, M = m_h m_w.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """Windows that cover a map, whose sides are padded to multiples.

    Attributes:
        size: (H, W).
        count: (n_h, n_w).
        members: (m_h, m_w).
        dilated: Whether window a has the rows a, a + n_h, a + 2 n_h, ... instead of the m_h rows
            from m_h a on.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.hlg.windows import Windows
        >>> row = torch.arange(4.0).view(1, 1, 4, 1)  # a map of one row
        >>> plain = Windows((1, 4), count=(1, 2), members=(1, 2), dilated=False)
        >>> plain.cut(row).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0]
        >>> dilated = Windows((1, 4), count=(1, 2), members=(1, 2), dilated=True)
        >>> dilated.cut(row).flatten().tolist()
        [0.0, 2.0, 1.0, 3.0]
    """

    size: Pair
    count: Pair
    members: Pair
    dilated: bool

    @classmethod
    def of_side(cls, size: Pair, side: int, *, dilated: bool) -> Windows:
        """Returns windows of ``side`` x ``side`` members."""
        return cls(size, _parts(size, side), (side, side), dilated)

    @classmethod
    def apart(cls, size: Pair, interval: int) -> Windows:
        """Returns ``interval`` x ``interval`` windows, whose members lie as far apart."""
        return cls(size, (interval, interval), _parts(size, interval), dilated=True)

    @property
    def padded(self) -> Pair:
        """(H', W'), multiples of the windows."""
        return self.count[0] * self.members[0], self.count[1] * self.members[1]

    def pad(self, x: Tensor) -> Tensor:
        """Pads a (B, H, W, C) map with zeros, at the bottom and at the right."""
        (height, width), (rows, columns) = x.shape[1:3], self.padded
        return F.pad(x, (0, 0, 0, columns - width, 0, rows - height))

    def cut(self, x: Tensor) -> Tensor:
        """Returns (B, nW, M, C) windows of a (B, H, W, C) map."""
        (n_h, n_w), (m_h, m_w) = self.count, self.members
        x = self.pad(x)
        if self.dilated:
            x = x.unflatten(2, (m_w, n_w)).unflatten(1, (m_h, n_h)).permute(0, 2, 4, 1, 3, 5)
        else:
            x = x.unflatten(2, (n_w, m_w)).unflatten(1, (n_h, m_h)).permute(0, 1, 3, 2, 4, 5)
        return x.flatten(3, 4).flatten(1, 2)

    def join(self, windows: Tensor) -> Tensor:
        """Returns the (B, H, W, C) map of (B, nW, M, C) windows: the inverse of `cut`."""
        x = windows.unflatten(2, self.members).unflatten(1, self.count)
        order = (0, 3, 1, 4, 2, 5) if self.dilated else (0, 1, 3, 2, 4, 5)
        x = x.permute(order).flatten(3, 4).flatten(1, 2)
        return x[:, : self.size[0], : self.size[1]]

    def real(self) -> Tensor:
        """Returns (nW, M): whether a member lies on the map, not on its padding."""
        rows, columns = (
            places < side for places, side in zip(self.places(), self.size, strict=True)
        )
        inside = rows[:, None, :, None] & columns[None, :, None, :]  # (n_h, n_w, m_h, m_w)
        return inside.flatten(2).flatten(0, 1)

    @property
    def seen(self) -> Tensor | None:
        """Returns `real`, or None if nothing is padded."""
        return None if self.whole else self.real()

    @property
    def empty(self) -> Tensor:
        """Returns (nW,): whether all members of a window lie on the padding."""
        return ~self.real().any(1)

    def places(self) -> tuple[Tensor, Tensor]:
        """Returns the rows, (n_h, m_h), and the columns, (n_w, m_w), of the members."""
        rows, columns = (
            torch.arange(m * n).view(m, n).t() if self.dilated else torch.arange(m * n).view(n, m)
            for n, m in zip(self.count, self.members, strict=True)
        )
        return rows, columns

    def centres(self) -> tuple[list[float], list[float]]:
        """Returns the rows, n_h, and the columns, n_w, of the windows' centres.

        A centre is the mean place of all members, padding included.
        """
        rows, columns = (
            [a + n * (m - 1) / 2 if self.dilated else a * m + (m - 1) / 2 for a in range(n)]
            for n, m in zip(self.count, self.members, strict=True)
        )
        return rows, columns

    @property
    def whole(self) -> bool:
        """Whether nothing is padded."""
        return self.padded == self.size

    def cut_tokens(self, tokens: Tensor, count: int) -> Tensor:
        """Returns (B, nW, P+M, C) windows of (B, P+H W, C) tokens, the P = ``count`` first in each.

        Args:
            tokens: P tokens, and the pixels of the map.
            count: P.
        """
        windows = self.cut(tokens[:, count:].unflatten(1, self.size))
        if not count:
            return windows
        ahead = tokens[:, None, :count].expand(-1, windows.shape[1], -1, -1)
        return torch.cat((ahead, windows), dim=2)

    def means(self, x: Tensor) -> Tensor:
        """Returns the (B, nW, C) means of a (B, H, W, C) map over the members on the map.

        A window of padding only has the mean 0.
        """
        if self.whole:
            return self.cut(x).mean(2)
        members = self.real().sum(1, keepdim=True).clamp(min=1).to(x)
        return self.cut(x).sum(2) / members  # the padding is zero


def _parts(size: Pair, of: int) -> Pair:
    return -(-size[0] // of), -(-size[1] // of)
