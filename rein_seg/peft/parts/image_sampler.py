"""Re-samples an image so that places with attention become larger.

B batch, C channels of a map, h x w map, H x W image, G places along a side of the coarse grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Filter = Literal['fixed', 'width', 'weights']


def gaussian(size: int, width: Tensor) -> Tensor:
    """Returns a (1, 1, size, size) Gaussian with 1 at its centre: exp(-4 ln2 r^2 / width^2).

    Args:
        size: Odd, in places of the grid.
        width: Full width at half maximum, a scalar tensor in places of the grid.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.image_sampler import gaussian
        >>> gaussian(5, torch.tensor(2.0))[0, 0, 2]
        tensor([0.0625, 0.5000, 1.0000, 0.5000, 0.0625])
    """
    along = torch.arange(size, device=width.device, dtype=width.dtype) - size // 2
    squared = along[:, None] ** 2 + along**2
    return torch.exp(-4 * math.log(2) * squared / width**2)[None, None]


class GaussianFilter(nn.Module):
    """The (1, 1, 2P + 1, 2P + 1) filter of a sampler, a Gaussian at the start.

    Args:
        padding: P, in places of the grid.
        width: Full width at half maximum at the start.
        trains: ``fixed``: nothing. ``width``: the width, so that the filter stays positive.
            ``weights``: every weight on its own.
    """

    def __init__(self, padding: int, width: float, trains: Filter) -> None:
        super().__init__()
        self.size, self.width, self.trains = 2 * padding + 1, width, trains
        if trains == 'width':
            self.log_scale = nn.Parameter(torch.zeros(()))
        if trains == 'weights':
            self.weight = nn.Parameter(gaussian(self.size, torch.tensor(float(width))))

    def forward(self, like: Tensor) -> Tensor:
        """Returns the filter on the device of a tensor."""
        if self.trains == 'weights':
            return self.weight
        scale = self.log_scale.exp() if self.trains == 'width' else like.new_ones(())
        return gaussian(self.size, self.width * scale)


class ImageSampler(nn.Module):
    """Computes where to read an image from a map of features, and reads it there.

    A convolution and a softmax over all places of the grid make the attention a. A place of the new
    image is read at the mean position of its neighbours, weighted with a and a Gaussian g:
    x = (g * a P) / (g * a), where P is the position of a place, 0..1 inside the grid, and * a
    convolution. Equal attention gives the image as it is, but for its border.

    Args:
        channels: C.
        kernel_size: Of the convolution, odd.
        relu: Whether a ReLU stands before the convolution.
        grid_size: G.
        padding: Places around the grid, where positions run on beyond 0..1.
        width: Of the Gaussian, in places.
        trains: As in `GaussianFilter`.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.image_sampler import ImageSampler
        >>> sampler = ImageSampler(8, kernel_size=3, grid_size=7, padding=6, width=3.0)
        >>> sampler(torch.randn(1, 8, 4, 6), torch.randn(1, 3, 32, 48)).shape
        torch.Size([1, 3, 32, 48])
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int,
        relu: bool = False,
        grid_size: int = 31,
        padding: int = 30,
        width: float = 13.0,
        trains: Filter = 'fixed',
    ) -> None:
        super().__init__()
        self.relu, self.grid_size, self.padding = relu, grid_size, padding
        # without bias: the softmax would take it off again
        self.conv_last = nn.Conv2d(channels, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.filter = GaussianFilter(padding, width, trains)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Returns the (B, 3, H, W) re-sampled image.

        Args:
            features: (B, C, h, w).
            image: (B, 3, H, W).
        """
        # positions need all digits: in bfloat16 a step is larger than a pixel
        with torch.autocast(image.device.type, enabled=False):
            grid = self.grid(features.float(), image.shape[-2:])
            moved = F.grid_sample(image.float(), grid, align_corners=True)
        return moved.to(image.dtype)

    def attention(self, features: Tensor) -> Tensor:
        """Returns (B, 1, G, G) weights, sum 1, of (B, C, h, w) features."""
        logits = self.conv_last(F.relu(features) if self.relu else features)
        side = (self.grid_size, self.grid_size)
        logits = F.interpolate(logits, side, mode='bilinear', align_corners=True)
        return logits.flatten(2).softmax(-1).unflatten(2, side)

    def grid(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Returns where to read each pixel: (B, H, W, 2), x and y from -1 to 1.

        Args:
            features: (B, C, h, w).
            size: (H, W) of the new image.
        """
        padded = F.pad(self.attention(features), [self.padding] * 4, mode='replicate')
        along = torch.arange(padded.shape[-1], device=padded.device, dtype=padded.dtype)
        along = (along - self.padding) / (self.grid_size - 1)
        weighted = torch.cat((padded, padded * along, padded * along[:, None]), dim=1)
        kernel = self.filter(padded)
        sums = F.conv2d(weighted.flatten(0, 1)[:, None], kernel)[:, 0]
        sums = sums.unflatten(0, weighted.shape[:2])  # of a, a x and a y: (B, 3, G, G)
        positions = (2 * sums[:, 1:] / sums[:, :1] - 1).clamp(-1, 1)  # (B, 2, G, G)
        grid = F.interpolate(positions, tuple(size), mode='bilinear', align_corners=False)
        return grid.permute(0, 2, 3, 1)
