"""Classes of queries from the embeddings of the class names, "no object" among them.

L layers, B batch, Q queries, K classes, C width of text, D width of the queries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def word_logits(
    embeds: Tensor, text: Tensor, no_object: Tensor, temperature: float = 100.0
) -> Tensor:
    """Computes temperature x cosine of each query with each class, "no object" last.

    Args:
        embeds: (..., Q, C) of the queries.
        text: (K, C), or (B, K, C) for (L, B, Q, C) queries.
        no_object: (1, C).
        temperature: Factor of the cosines.

    Returns:
        (..., Q, K+1) logits, float32.

    Source: Xu et al., "A Simple Baseline for Open-Vocabulary Semantic Segmentation with Pre-trained
    Vision-language Model" (ECCV 2022), Sec. 3.2.

    Example:
        >>> import torch
        >>> from rein_seg.heads.maskformer.words import word_logits
        >>> text = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
        >>> word_logits(torch.tensor([[3.0, 0.0]]), text, torch.tensor([[-1.0, 0.0]]))
        tensor([[ 100.,    0., -100.]])
    """
    # in bfloat16, cosines of near classes would be ties
    with torch.autocast(embeds.device.type, enabled=False):
        none = no_object.float().expand(*text.shape[:-2], 1, -1)
        words = F.normalize(torch.cat((text.float(), none), dim=-2), dim=-1)
        return temperature * F.normalize(embeds.float(), dim=-1) @ words.transpose(-1, -2)
