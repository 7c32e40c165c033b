"""The text tower."""

import torch

from rein_seg.text import TextTower

SIZES = dict(width=32, layers=2, heads=2, dims=16, vocabulary=100)


def test_tokens_behind_the_end_change_nothing():
    torch.manual_seed(0)
    tower = TextTower(**SIZES)
    torch.nn.init.normal_(tower.text_projection)
    with torch.no_grad():
        short = tower.encode_tokens(torch.tensor([[98, 5, 99]]))
        longer = tower.encode_tokens(torch.tensor([[98, 5, 99, 7, 0]]))
    assert short.abs().max() > 0
    torch.testing.assert_close(longer, short)
