"""Cosines of images and classes as logits.

B batch, K classes, D width of the joint space.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_logits(image: Tensor, text: Tensor, scale: float) -> Tensor:
    """Returns the (B, K) cosines of embeddings of any length, times a scale.

    Args:
        image: (B, D).
        text: (K, D), or (B, K, D) of each image's own.
        scale: ``exp(logit_scale)`` of a CLIP; 100 for OpenAI's.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image.cosine import cosine_logits
        >>> cosine_logits(torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]]), 100)
        tensor([[100.,   0.]])
    """
    # in float32: times 100, the rounding of bfloat16 would be a whole logit
    with torch.autocast(image.device.type, enabled=False):
        image, text = (F.normalize(x.float(), dim=-1) for x in (image, text))
        cosines = image @ text.T if text.dim() == 2 else (text @ image[..., None]).squeeze(-1)
        return scale * cosines
