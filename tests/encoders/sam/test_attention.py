"""SAM's attention: its formula, windows and their padding, prompts."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.bench.reference import attention_with_bias
from rein_seg.encoders.sam.attention import attend_with_positions


@pytest.mark.parametrize('grid', [(4, 4), (3, 5)])
def test_attention_equals_its_formula_with_gradients(grid):
    """The naive form: an (N, N) bias, from tables made for another grid too."""
    count = grid[0] * grid[1]
    generator = torch.Generator().manual_seed(2)
    shapes = [(2, 2, count, 6)] * 3 + [(7, 6), (11, 6)]
    given = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    results = []
    for compute in (attend_with_positions, attention_with_bias, naive):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        out = compute(*leaves, grid)
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for fast, plain, formula in zip(*results, strict=True):
        torch.testing.assert_close(fast, formula, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(plain, formula, rtol=1e-6, atol=1e-6)


def test_both_forms_of_attention_agree_on_prompts():
    generator = torch.Generator().manual_seed(2)
    shapes = [(2, 2, 3 + 15, 6)] * 3 + [(5, 6), (9, 6)]
    given = [torch.randn(s, generator=generator) for s in shapes]
    fast, plain = (
        compute(*given, (3, 5), num_prompts=3)
        for compute in (attend_with_positions, attention_with_bias)
    )
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


def naive(q, k, v, table_h, table_w, grid):
    height, width = grid
    tables = [
        F.interpolate(t.t()[None], size=2 * side - 1, mode='linear')[0].t()
        for t, side in ((table_h, height), (table_w, width))
    ]
    bias = torch.stack(
        [
            q[:, :, i] @ (tables[0][i // width - j // width + height - 1]
                          + tables[1][i % width - j % width + width - 1])
            for i in range(height * width)
            for j in range(height * width)
        ],
        dim=-1,
    ).unflatten(-1, (height * width, -1))  # fmt: skip
    return ((q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5 + bias).softmax(-1) @ v
