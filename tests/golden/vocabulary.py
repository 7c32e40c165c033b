"""Token tables of vectors, which hold the used rows only."""

import torch

VOCABULARY = 49408


def with_all_rows(weights, ids):
    """Returns weights whose token tables have all rows: those of the ids, zeros elsewhere.

    Args:
        weights: Tensors by name, as the vectors hold them.
        ids: ``input.vocabulary_ids``.
    """
    full = dict(weights)
    for name, rows in weights.items():
        if name.endswith('token_embedding.weight'):
            full[name] = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
            full[name][ids] = rows
    return full
