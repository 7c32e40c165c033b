"""Recall@K of embeddings, leave one out.

N images, D width of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rein_seg.errors import UserError

_SIMILARITIES = 2**24  # in memory at a time, 128 MB
_NEVER = 2**62  # rank of an image that is alone in its class
_DIGITS = 10  # that two similarities share at least, to be a tie


def recall_at_k(
    embeddings: Tensor,
    labels: Tensor,
    ks: Sequence[int],
    *,
    leave_out: Literal['query', 'nearest'] = 'query',
) -> list[float]:
    """Returns for each K the share of images, in %, with their class among K nearest others.

    Nearest is by cosine; of images at the same distance the first in order comes first. An image
    that is alone in its class counts, and is never found.

    Args:
        embeddings: (N, D).
        labels: (N,) class indexes.
        ks: Values of K.
        leave_out: ``query``: an image is never its own neighbour. ``nearest``: the nearest image is
            dropped, whichever it is, as FRPT's code does: an image with a double finds itself.

    Raises:
        UserError: If there is a single image, or an embedding is not finite.

    Example:
        >>> import torch
        >>> from rein_seg.evaluation.recall import recall_at_k
        >>> angles = torch.tensor([0.0, 0.1, 0.3, 0.35]) # 0 and 1, 2 and 3 are neighbours
        >>> points = torch.stack((angles.cos(), angles.sin()), 1)
        >>> recall_at_k(points, torch.tensor([0, 0, 1, 0]), ks=[1, 2])
        [50.0, 75.0]
    """
    if len(labels) < 2:
        raise UserError(
            f'Recall@K of {len(labels)} image: expected a gallery of 2 or more, since an image is '
            'compared with the others; test more images'
        )
    if not torch.isfinite(embeddings).all():
        raise UserError(
            'Recall@K: an embedding has nan or inf, expected finite numbers; the training has '
            'diverged: lower the learning rate'
        )
    unit = F.normalize(embeddings.double(), dim=1)
    rows = max(1, _SIMILARITIES // len(unit))
    ranks = [_ranks(start, unit, labels, leave_out, rows) for start in range(0, len(unit), rows)]
    rank = torch.cat(ranks)
    return [100 * (rank < k).double().mean().item() for k in ks]


def _ranks(start: int, unit: Tensor, labels: Tensor, leave_out: str, rows: int) -> Tensor:
    """Returns how many others come before the nearest of the same class, for a chunk of queries."""
    queries = torch.arange(start, min(start + rows, len(unit)), device=unit.device)
    # doubles must tie, and a matrix product may round two equal rows differently
    similar = (unit[queries] @ unit.T).round(decimals=_DIGITS)
    dropped = queries if leave_out == 'query' else similar.argmax(1)
    similar.scatter_(1, dropped[:, None], -torch.inf)
    own = similar.masked_fill(labels[queries, None] != labels, -torch.inf)
    best, place = own.max(1, keepdim=True)
    order = torch.arange(len(unit), device=unit.device)
    before = (similar > best) | ((similar == best) & (order < place))
    return before.sum(1).masked_fill(best[:, 0].isinf(), _NEVER)
