"""What encoders of stages of tokens share."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.encoders.staged import TokenMerging, stage_places


def test_places_count_blocks_over_the_stages():
    places = stage_places('stages.{stage}.blocks.{index}', (2, 1), (8, 16))
    assert places == {
        'stages.0.blocks.0': (0, 0, 0, 8),
        'stages.0.blocks.1': (1, 0, 1, 8),
        'stages.1.blocks.0': (2, 1, 0, 16),
    }


@pytest.mark.parametrize(('kernel', 'stride', 'padding'), [(2, 2, 0), (3, 2, 1), (7, 4, 3)])
def test_a_prompt_is_embedded_as_a_patch_of_itself(kernel, stride, padding):
    """Padding takes no part: the result is the sum of the kernel times the prompt."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(4, 6, kernel, stride, padding), nn.LayerNorm(6)
    tokens = torch.randn(2, 3, 4)
    copies = tokens.repeat_interleave(2, dim=1)[:, None].expand(-1, 2, -1, -1)
    expected = norm(F.linear(tokens, conv.weight.sum((2, 3)), conv.bias))
    torch.testing.assert_close(TokenMerging(conv, norm)(copies), expected[:, None])
    bare = TokenMerging(conv, None)(copies)[:, 0]
    torch.testing.assert_close(norm(bare), expected)
