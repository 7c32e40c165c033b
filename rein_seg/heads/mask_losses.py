"""Focal and dice losses of single masks; pixels may be left out.

B batch, K masks, H x W pixels.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.rules import Rule

# between 0 and 1 the gradient of a perfect pixel is not finite
Exponent = Annotated[float, Rule('0, or at least 1', lambda value: value == 0 or value >= 1)]


def focal(
    x: Tensor, target: Tensor, valid: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Returns the (B, K) focal losses of (B, K, H, W) logits, means over the valid pixels.

    With q the probability of the right answer: a (1 - q)^gamma (-log q), a = alpha where the target
    is 1, else 1 - alpha.

    Args:
        x: (B, K, H, W) logits.
        target: (B, K, H, W), 0 or 1.
        valid: (B, K or 1, H, W), 0 or 1.
        alpha: Weight of the pixels of the mask.
        gamma: Exponent.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (ICCV 2017), Eq. 5.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mask_losses import focal
        >>> x, one = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(focal(x, one, one, alpha=0.5, gamma=1).item(), 4)  # 0.5 x 0.5 x log 2
        0.1733
    """
    # the logit of q: of the class where the target is 1, of all others elsewhere
    right = torch.where(target > 0, x, -x)
    weight = torch.where(target > 0, alpha, 1 - alpha)
    each = weight * (-right).sigmoid() ** gamma * F.softplus(-right)
    return (each * valid).sum((2, 3)) / valid.sum((2, 3)).clamp(min=1)


def dice(x: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Returns the (B, K) dice losses of (B, K, H, W) logits; see `focal`."""
    p = x.sigmoid() * valid
    both, each = (p * target).sum((2, 3)), p.sum((2, 3)) + target.sum((2, 3))
    return 1 - (2 * both + 1) / (each + 1)
