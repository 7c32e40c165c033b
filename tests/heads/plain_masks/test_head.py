"""The base of plain mask heads: plan, masks, widths, wrong arguments."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.heads import EoMTHead


def build(**options):
    torch.manual_seed(0)
    sizes = dict(num_classes=3, in_strides=16, num_queries=5, num_blocks=2)
    return EoMTHead(8, **{**sizes, **options})


def test_the_plan_follows_the_buffer_and_the_mode():
    head = build()
    head.attn_mask_probs.copy_(torch.tensor([0.25, 1.0]))
    assert head.train().plan() == (0.25, 1.0)
    assert head.eval().plan() == (None, 1.0)
    assert build(masked_attention=False).plan() == (None, None)


def test_a_query_looks_where_its_mask_is_and_everywhere_at_probability_zero():
    head, masks = build(), torch.tensor([[[[1.0, -1.0]]]])
    assert head.look(masks, (1, 2), 0, 1.0).tolist() == [[[True, False]]]
    assert head.look(masks, (1, 2), 0, 0.0) is None


def test_draws_can_be_handed_in():
    class Stored:
        def uniform(self, block, batch, queries, device):
            assert (block, batch, queries) == (1, 1, 2)
            return torch.tensor([[0.2, 0.8]])

    head, masks = build(), torch.full((1, 2, 1, 2), -1.0)
    head.mask_draws = Stored()
    assert head.look(masks, (1, 2), 1, 0.5).tolist() == [[[False, False], [True, True]]]


def test_queries_are_the_learned_ones_or_those_of_the_method():
    head = build()
    torch.testing.assert_close(head.first_queries(2)[1], head.q.weight)
    linked, given = build(query_dims=8), torch.randn(4, 8)
    assert not hasattr(linked, 'q')
    assert torch.equal(linked.first_queries(2, given)[1], given)
    with pytest.raises(UserError, match='built without queries of the method, but some came'):
        head.first_queries(1, given)
    with pytest.raises(UserError, match='built for queries of the method, but none came'):
        linked.first_queries(1)


def test_a_narrow_upscale_has_narrow_masks_and_fewer_parameters():
    full, narrow = build(), build(upscale_channels=4)
    queries, patches = torch.randn(1, 5, 8), torch.randn(1, 8, 3, 4)
    for head in (full, narrow):
        classes, masks = head.predict_tokens(queries, patches)
        assert (classes.shape, masks.shape) == ((1, 5, 4), (1, 5, 12, 16))
    assert narrow.mask_head[-1].out_features == 4

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(full.upscale) == 2 * (4 * 64 + 8 + 9 * 8 + 16)
    assert count(narrow.upscale) == 2 * (4 * 16 + 4 + 9 * 4 + 8)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_queries=0), 'EoMTHead num_queries=0: expected a whole number, at least 1'),
        (dict(num_blocks=0), 'EoMTHead num_blocks=0: expected a whole number, at least 1'),
        (dict(upscale_channels=0), 'EoMTHead upscale_channels=0: expected'),
        (dict(num_classes=1), 'EoMTHead: num_classes=1, expected 2 to 254'),
        (dict(query_dims=256), r'width 256, but EoMTHead puts them among tokens of width 8: set'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)
