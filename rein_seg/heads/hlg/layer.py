"""A layer of HLG's head: smoothing, attention in windows and to windows, feed-forward.

B batch, C channels, H x W map, N = H W, nW windows of M members, h heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn

from rein_seg.encoders.hlg.attention import (
    PositionBias,
    WindowAttention,
    attend,
    centre_bias,
    local_bias,
    look_up,
)
from rein_seg.encoders.hlg.layer import Behaviour
from rein_seg.encoders.hlg.parts import Pair, smoothing
from rein_seg.encoders.hlg.windows import Windows
from rein_seg.errors import UserError


class SharedAttention(nn.Module):
    """The attention in windows and the attention to windows, with the same parameters.

    Args:
        channels: C.
        num_heads: h.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels, bias=False)
        self.kv = nn.Linear(channels, 2 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.pos = PositionBias(channels // 16, num_heads)
        self.within = WindowAttention(num_heads)

    def local(self, x: Tensor, windows: Windows) -> Tensor:
        """Computes (B, H, W, C) -> the same: members attend within their window."""
        cut = windows.cut(x)
        k, v = self.kv(cut).chunk(2, dim=-1)
        bias = local_bias(self.pos, windows.members)
        return windows.join(self.proj(self.within(self.q(cut), k, v, bias, windows.seen)))

    def to_windows(self, x: Tensor, means: Tensor, bias: Tensor) -> Tensor:
        """Returns (B, N, C): pixels attend to the (B, nW, C) means of windows."""
        k, v = self.kv(self.norm(means)).chunk(2, dim=-1)
        return self.proj(attend(self.q(x), k, v, bias))


class HLGHeadLayer(nn.Module):
    """Smooths a map, lets its pixels attend within and to windows, and feeds them forward.

    Args:
        channels: C.
        num_heads: h.
        dilated: Whether windows spread over the map, with members ``interval`` steps apart; else
            they are squares of ``window_size`` members.
        behaviour: ``intent`` or ``official``; see `HLGHead`.
        window_size: Side of a plain window.
        interval: Distance of the members of a dilated window, and number of windows along a side.
        mlp_ratio: Hidden width of the feed-forward over C.
        norm: Makes the norms between convolutions from a width.
        drop_path: Probability of leaving out a branch of an image, in training.

    Shapes:
        (B, C, H, W) -> the same.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        dilated: bool,
        behaviour: Behaviour = 'intent',
        window_size: int = 7,
        interval: int = 8,
        mlp_ratio: float = 4,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.dilated, self.behaviour = dilated, behaviour
        self.window_size, self.interval = window_size, interval
        self.spatial_smooth = smoothing(channels, norm)
        self.norm0, self.norm1, self.norm2 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn = SharedAttention(channels, num_heads)
        hidden = int(mlp_ratio * channels)
        self.mlp = nn.ModuleDict(
            dict(fc1=nn.Linear(channels, hidden), fc2=nn.Linear(hidden, channels))
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map."""
        size = (x.shape[2], x.shape[3])
        windows = self.windows(size)
        if self.behaviour == 'official':  # padding is smoothed, and then a pixel like others
            x = windows.pad(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            windows = self.windows(windows.padded)
        y = F.gelu(x + self.spatial_smooth[0](x)).permute(0, 2, 3, 1)
        z = y + self.drop_path(self.attn.local(self.norm0(y), windows))
        means, bias = windows.means(z), self.global_bias(windows, size)
        if windows.empty.any():  # more windows than rows or columns
            full = (~windows.empty).to(z.device)
            means, bias = means[:, full], bias[..., full]
        z = z[:, : size[0], : size[1]].flatten(1, 2)
        x = z + self.drop_path(self.attn.to_windows(self.norm1(z), means, bias))
        hidden = F.gelu(self.mlp['fc1'](self.norm2(x)))
        x = x + self.drop_path(self.mlp['fc2'](hidden))
        return x.transpose(1, 2).unflatten(2, size)

    def windows(self, size: Pair) -> Windows:
        """Returns the windows of a map."""
        if self.dilated:
            return Windows.apart(size, self.interval)
        return Windows.of_side(size, self.window_size, dilated=False)

    def global_bias(self, windows: Windows, size: Pair) -> Tensor:
        """Returns the (h, N, nW) bias of the pixels of a map and windows."""
        if self.behaviour == 'intent':
            return centre_bias(self.attn.pos, windows, size)
        return number_bias(self.attn.pos, windows.count, size)


def number_bias(position: PositionBias, count: Pair, size: Pair) -> Tensor:
    """Returns the (h, N, nW) bias as the authors' code looks it up in the table of all offsets.

    It takes window numbers for places, and the length of a row from them, not from the table.

    Args:
        position: Of the attention.
        count: (n_h, n_w).
        size: (H, W).

    Raises:
        UserError: If the table has no such place: more windows than rows or columns.
    """
    last = (size[0] + count[0] - 2) * (2 * count[1] - 1) + size[1] + count[1] - 2
    if last >= (2 * size[0] - 1) * (2 * size[1] - 1):
        raise UserError(
            f'HLGHead behaviour="official" has {count[0]} x {count[1]} windows, too many for a map '
            f'of {size} (height, width): give an image whose finest map is at least {count}, a '
            'smaller decode_head.interval, or decode_head.behaviour="intent"'
        )
    table = position.table(*(torch.arange(1 - side, side) for side in size))
    down, across = (
        torch.arange(side)[:, None] - torch.arange(n) + n - 1
        for side, n in zip(size, count, strict=True)
    )
    index = down[:, None, :, None] * (2 * count[1] - 1) + across[None, :, None, :]
    return look_up(table, index.to(table.device)).flatten(3).flatten(1, 2)
