"""Arguments of deformable sampling: three small levels."""

import torch

SIZES = [(2, 3), (5, 4), (7, 9)]
ROWS = sum(h * w for h, w in SIZES)


def inputs(batch=2, queries=11, heads=3, width=4, points=2, spread=3.0):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    value = draw(batch, ROWS, heads, width)
    offsets = draw(batch, queries, heads, len(SIZES), points, 2) * spread  # many fall outside
    weights = draw(batch, queries, heads, len(SIZES) * points).softmax(-1)
    weights = weights.view(batch, queries, heads, len(SIZES), points)
    reference = torch.rand(queries, 2, generator=generator)
    return [value, offsets, weights, reference]
