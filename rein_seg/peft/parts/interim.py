"""Losses of coarse class maps from inside an encoder against the labels of pixels.

B batch, K classes, H x W grid, h x w pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def interim_loss(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Computes the mean cross-entropy over the places that are not ignored; 0 if all are.

    A place has the label of its nearest pixel.

    Args:
        logits: (B, K, H, W).
        labels: (B, h, w) int64.
        ignore_index: Label of pixels without a class.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.interim import interim_loss
        >>> labels = torch.tensor([[[0, 255], [255, 255]]])
        >>> interim_loss(torch.zeros(1, 2, 2, 2), labels, 255)  # ln 2, of a single place
        tensor(0.6931)
    """
    coarse = F.interpolate(labels[:, None].float(), size=logits.shape[2:], mode='nearest-exact')
    targets = coarse[:, 0].long()
    losses = F.cross_entropy(logits.float(), targets, ignore_index=ignore_index, reduction='sum')
    return losses / (targets != ignore_index).sum().clamp(min=1)


def soft_interim_loss(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Computes the mean cross-entropy with the class shares of each place; 0 if all are ignored.

    No class is lost however thin it is. A place without a labelled pixel is ignored.

    Args:
        logits: (B, K, H, W).
        labels: (B, h, w) int64.
        ignore_index: Label of pixels without a class.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.interim import soft_interim_loss
        >>> labels = torch.tensor([[[0, 1], [1, 1]]])  # one place: a quarter, three quarters
        >>> soft_interim_loss(torch.tensor([[[[0.0]], [[4.0]]]]), labels, 255)  # 4 / 4 + 0.0181
        tensor(1.0181)
    """
    shares = class_shares(labels, logits.shape[1], logits.shape[2:], ignore_index)
    losses = -(shares * logits.float().log_softmax(1)).sum()
    return losses / shares.any(1).sum().clamp(min=1)


def class_shares(
    labels: Tensor, num_classes: int, grid: Sequence[int], ignore_index: int
) -> Tensor:
    """Counts pixels: the share of each class among the labelled pixels of each place.

    Args:
        labels: (B, h, w) int64.
        num_classes: K.
        grid: (H, W). Each pixel belongs to one place, also if H does not divide h.
        ignore_index: Label of pixels that do not count.

    Returns:
        (B, K, H, W), with sum 1 over the classes, or 0 at places without a labelled pixel.

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.interim import class_shares
        >>> labels = torch.tensor([[[0, 1, 255, 255], [1, 1, 255, 0]]])
        >>> class_shares(labels, 2, (1, 2), 255)[0, :, 0].T
        tensor([[0.2500, 0.7500],
                [1.0000, 0.0000]])
    """
    batch, rows, columns = len(labels), *grid
    y, x = (
        torch.arange(pixels, device=labels.device) * places // pixels
        for pixels, places in zip(labels.shape[1:], grid, strict=True)
    )
    image = torch.arange(batch, device=labels.device)[:, None, None]
    place = (image * rows + y[:, None]) * columns + x  # (B, h, w)
    valid = labels != ignore_index
    counts = torch.zeros(batch * rows * columns, num_classes, device=labels.device)
    one = counts.new_ones(())
    counts.index_put_((place[valid], labels[valid]), one, accumulate=True)
    counts = counts.view(batch, rows, columns, num_classes).permute(0, 3, 1, 2)
    return counts / counts.sum(1, keepdim=True).clamp(min=1)
