"""Rein alone: sizes, start, queries, blocks."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.peft import Rein
from rein_seg.peft.context import Context
from rein_seg.peft.methods.rein import ReinStage
from rein_seg.structures import Anatomy, StreamSite
from tests.peft.build import backbone
from tests.peft.formulas import rein_formula


def stream(depth, channels):
    """The anatomy of a plain encoder as far as Rein's sizes depend on it."""
    sites = (StreamSite(i, 0, i, channels, where='out', taps=()) for i in range(depth))
    return Anatomy('toy', tuple(sites), 1, 16, (), (), (depth,), (channels,))


@pytest.mark.parametrize(
    ('depth', 'channels', 'rank', 'expected'),
    [
        (12, 384, 16, 684_033),
        (12, 768, 16, 1_741_569),
        (24, 1024, 16, 2_990_081),
        (40, 1536, 16, 6_359_041),
        (12, 384, 0, 1_051_905),
        (24, 1024, 0, 5_016_065),
    ],
)
def test_has_the_published_number_of_parameters(depth, channels, rank, expected):
    stage = ReinStage(depth, channels, num_tokens=100, rank=rank, query_dims=256)
    assert sum(p.numel() for p in stage.parameters()) == expected
    if rank:
        assert rein_formula(depth, channels) == expected


@pytest.mark.parametrize(('blocks', 'expected'), [(None, 4_510_721), ([7, 15, 23, 31], 3_892_481)])
def test_on_all_or_on_the_global_blocks_of_sam_huge(blocks, expected):
    rein = Rein(blocks=blocks)
    rein.build(stream(32, 1280))
    assert sum(p.numel() for p in rein.parameters()) == expected


def test_has_one_module_a_stage_on_convnext_and_sums_the_queries():
    model = backbone('convnext', type='Rein', num_tokens=5, rank=4, query_dims=8)
    assert [stage.mlp_delta_f.in_features for stage in model.peft.stages] == [16, 32]
    expected = model.peft.stages[0].queries() + model.peft.stages[1].queries()
    torch.testing.assert_close(model.peft.queries(), expected)
    assert model.query_dims == 8


def test_init_bounds():
    rein = Rein(num_tokens=50, rank=16)
    rein.build(stream(24, 1024))
    bound = (6 / (3 * 16**2 + (1024 * 16) ** 0.5)) ** 0.5
    tokens = rein.stages[0].learnable_tokens_a
    assert bound == pytest.approx(0.0818, abs=1e-4)
    assert tokens.abs().max() <= bound
    assert tokens.abs().max() > 0.99 * bound
    assert rein.stages[0].scale.item() == pytest.approx(0.001)


def test_leaves_prefix_tokens_alone():
    model = backbone(type='Rein', num_tokens=5, rank=4, query_dims=8).eval()
    x = torch.randn(2, 1 + 16, 32)
    site = model.anatomy.find(type(model.anatomy.sites[-1]), where='out')[0]
    delta = model.peft.refine(x, Context(site, 'NLC', model.anatomy))
    assert not delta[:, 0].any()
    assert delta[:, 1:].abs().min() > 0


def test_after_some_blocks_only():
    model = backbone(type='Rein', num_tokens=5, rank=4, query_dims=8, blocks=[0, -1]).eval()
    assert len(model.peft.stages[0].learnable_tokens_a) == 2
    image = torch.randn(1, 3, 32, 32)
    plain, start = backbone(type='Frozen').eval()(image).maps, model(image).maps
    assert not torch.equal(start[0], plain[0])
    with torch.no_grad():
        model.peft.stages[0].learnable_tokens_b[1] += 1  # the last block's tokens
    later = model(image).maps
    assert torch.equal(later[1], start[1])
    assert not torch.equal(later[2], start[2])
    skipping = backbone('convnext', type='Rein', num_tokens=5, query_dims=8, blocks=[1, 2])
    assert [s.mlp_delta_f.in_features for s in skipping.peft.stages] == [32]
    with pytest.raises(UserError, match='block 9 does not exist'):
        backbone(type='Rein', blocks=[9])
