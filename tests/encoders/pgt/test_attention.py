"""Groups of PGT's attention, against loops over rectangles that hold real tokens only."""

import pytest
import torch

from rein_seg.encoders.pgt.attention import PyramidGroupAttention, pad_official
from rein_seg.encoders.pgt.groups import Groups
from rein_seg.structures import RunState

WIDTH, HEADS = 12, 3


def attention(grid, groups, *, prompts=0, **options):
    torch.manual_seed(0)
    state = RunState(grid=grid, num_prompts=prompts)
    module = PyramidGroupAttention(WIDTH, HEADS, groups, state=state, **options)
    for name, param in module.named_parameters():
        torch.nn.init.normal_(param, std=0.5 if name.endswith('weight') else 1.0)
    return module


def attend(module, queries, keys):
    """Full attention of (B, Q, C) tokens to (B, K, C) tokens, without the projection."""
    parts = (module.q(queries), *module.kv(keys).chunk(2, dim=-1))
    q, k, v = (p.unflatten(2, (HEADS, -1)).transpose(1, 2) for p in parts)
    weights = (q @ k.mT * (WIDTH // HEADS) ** -0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def in_rectangles(module, x, grid, side):
    """Attends in each rectangle, without any padding."""
    tokens = x.unflatten(1, grid)
    y = torch.zeros_like(tokens)
    steps = [-(-length // side) for length in grid]
    for top in range(0, grid[0], steps[0]):
        for left in range(0, grid[1], steps[1]):
            here = (slice(None), slice(top, top + steps[0]), slice(left, left + steps[1]))
            part = tokens[here]
            y[here] = attend(module, part.flatten(1, 2), part.flatten(1, 2)).view_as(part)
    return module.proj(y.flatten(1, 2))


@pytest.mark.parametrize('grid', [(6, 9), (7, 10), (5, 3), (1, 8), (4, 4)])
@pytest.mark.parametrize('side', [1, 2, 3, 4])
def test_padding_is_never_seen(grid, side):
    module = attention(grid, side**2)
    x = torch.randn(2, grid[0] * grid[1], WIDTH)
    torch.testing.assert_close(module(x), in_rectangles(module, x, grid, side))


def test_official_padding_is_seen():
    grid, side = (4, 6), 4  # 4 divides a side, which gets 4 more rows
    module = attention(grid, side**2, padding='official')
    x = torch.randn(1, 24, WIDTH)
    padded, larger = pad_official(x, grid, 0, side)
    assert larger == (8, 8)
    whole = in_rectangles(module, padded, larger, side)
    torch.testing.assert_close(module(x), whole.unflatten(1, larger)[:, :4, :6].flatten(1, 2))
    assert module.state.grid == grid
    other = attention(grid, side**2)
    assert (module(x) - other(x)).abs().max() > 0.1


@pytest.mark.parametrize('padding', ['intent', 'official'])
def test_both_paddings_agree_on_sides_that_divide(padding):
    x = torch.randn(1, 24, WIDTH)
    module = attention((4, 6), 4, padding=padding)
    torch.testing.assert_close(module(x), in_rectangles(module, x, (4, 6), 2))


@pytest.mark.parametrize(
    ('grid', 'side', 'padding'),
    [
        ((4, 6), 2, 'intent'),
        ((4, 6), 2, 'official'),
        ((5, 9), 4, 'intent'),  # of 4 x 4 groups the last row and column hold padding alone
    ],
)
def test_prompts_are_keys_in_every_group_and_get_the_mean(grid, side, padding):
    module = attention(grid, side**2, prompts=3, padding=padding)
    x = torch.randn(2, 3 + grid[0] * grid[1], WIDTH)
    prompts, tokens = x[:, :3], x[:, 3:].unflatten(1, grid)
    steps = [-(-length // side) for length in grid]
    results = []
    y = torch.zeros_like(tokens)
    for top in range(0, grid[0], steps[0]):
        for left in range(0, grid[1], steps[1]):
            here = (slice(None), slice(top, top + steps[0]), slice(left, left + steps[1]))
            part = torch.cat((prompts, tokens[here].flatten(1, 2)), dim=1)
            mixed = attend(module, part, part)
            results.append(mixed[:, :3])
            y[here] = mixed[:, 3:].view_as(y[here])
    expected = torch.cat((torch.stack(results).mean(0), y.flatten(1, 2)), dim=1)
    torch.testing.assert_close(module(x), module.proj(expected))


@pytest.mark.parametrize('prompts', [0, 2])
def test_cut_and_join_are_inverse(prompts):
    groups = Groups(side=3, heads=2, prompts=prompts, grid=(4, 7))
    x = torch.randn(2, prompts + 28, 8)
    assert groups.cut(x).shape == (2, 18, prompts + 2 * 3, 4)
    torch.testing.assert_close(groups.join(groups.cut(x)), x)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_the_mask_is_finite_in_every_type(dtype):
    mask = Groups(side=2, heads=1, prompts=1, grid=(1, 2)).mask(torch.zeros(1, dtype=dtype))
    assert mask.shape == (1, 4, 1, 2)
    assert mask.isfinite().all()
    assert (mask[0, :, 0, 0] == 0).all()  # the prompt
    assert (mask[0, :, 0, 1] < -9000).tolist() == [False, False, True, True]
