"""Points from 64 bits of randomness."""

import torch

from rein_seg.fast.short_draws import applies, candidates

CPU = torch.device('cpu')


def test_candidates_are_uniform():
    torch.manual_seed(0)
    points = candidates(None, 3, 50_001, CPU)
    assert points.shape == (3, 50_001, 2)
    assert 0 < points.min() < 1e-4
    assert 1 - 1e-4 < points.max() < 1
    counts = torch.histc(points, 16, 0, 1) / points.numel() * 16
    assert (counts - 1).abs().max() < 0.03
    x, y = points.unbind(-1)
    assert abs(torch.corrcoef(torch.stack((x.flatten(), y.flatten())))[0, 1]) < 0.01


def test_a_seed_gives_the_same_points():
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(candidates(None, 2, 7, CPU))
    assert torch.equal(*found)


def test_a_gpu_draws_for_itself():
    assert applies(None, 1, 1, CPU)
    assert not applies(None, 1, 1, torch.device('cuda'))
