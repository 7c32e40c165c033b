"""The contract of methods: outputs before, during and after training."""

import copy

import pytest
import torch

from rein_seg.structures import Features
from tests.peft.contract import (
    assert_same,
    at_start,
    build,
    frozen_features,
    image,
    on_every_pair,
    randomise,
    rounding,
)


@on_every_pair
@torch.no_grad()  # with gradients, Full on Swin takes another kernel: its bias trains
def test_start_equals_the_frozen_encoder(case, family):
    backbone = at_start(case, family)
    if not backbone.peft.exact_at_start and case.start is None:
        pytest.skip('starts anywhere')
    maps, reference = backbone(image()).maps, frozen_features(family).maps
    for x, y in zip(maps, reference, strict=True):
        # Rein starts within its scale of 0.001 times a linear of the features, block after block
        size = max(1.0, y.abs().max().item())  # a bias is of size 1 / sqrt(C) whatever the features
        tolerance = 0.0 if backbone.peft.exact_at_start else case.start * size
        torch.testing.assert_close(x, y, rtol=0, atol=tolerance)


@on_every_pair
def test_method_has_an_effect(case, family):
    backbone = build(case, family).eval()
    if not list(backbone.peft.parameters()):
        pytest.skip('no adapter')
    randomise(backbone)
    pairs = zip(backbone(image()).maps, frozen_features(family).maps, strict=True)
    # of the largest value, in maps of small values
    assert max((x - y).abs().max() / y.abs().max().clamp(max=1) for x, y in pairs) > 1e-3


@on_every_pair
def test_merge_equals_unmerged(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    if not case.merges or family in case.not_into:
        with pytest.raises(NotImplementedError, match='cannot be merged'):
            backbone.peft.merge()
        return
    with torch.no_grad():
        before = backbone(image())
        backbone.peft.merge()
        assert_same(backbone(image()), before, tolerance=rounding(family))
    with pytest.raises(RuntimeError, match='merged'):
        backbone.peft.detach()
    with pytest.raises(RuntimeError, match='merged already'):
        backbone.peft.merge()


@on_every_pair
@torch.no_grad()  # with gradients, Full on Swin takes another kernel: its bias trains
def test_detach_restores_bit_for_bit(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    before = backbone(image())
    backbone.peft.detach()
    assert_same(Features(tuple(backbone.encoder(image()))), frozen_features(family))
    backbone.peft.attach(backbone.encoder, backbone.anatomy)
    assert_same(backbone(image()), before)


@on_every_pair
def test_batch_of_one_and_other_sizes(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    both = backbone(image(batch=2))
    one = backbone(image(batch=2)[:1])
    for x, y in zip(both.maps, one.maps, strict=True):
        limit = case.batch_tolerance
        torch.testing.assert_close(x[:1], y, rtol=limit, atol=limit / 10)
    tall = backbone(image(height=64, width=32)).maps[0]
    assert tall.shape[-2] == 2 * tall.shape[-1]


@on_every_pair
def test_bf16_autocast_runs_and_stays_near(case, family):
    backbone = at_start(case, family)
    exact = backbone(image()).maps[-1]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = backbone(image()).maps[-1]
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


@on_every_pair
def test_deep_copy_follows_the_copy(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    before = backbone(image())
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        for param in twin.parameters():
            param.mul_(1.5)
    assert_same(backbone(image()), before)
    for param, other in zip(backbone.parameters(), twin.parameters(), strict=True):
        other.data.copy_(param.data)
    assert_same(twin(image()), before)
    with torch.no_grad():
        for param in backbone.parameters():
            param.zero_()
    assert_same(twin(image()), before)


@on_every_pair
def test_same_seed_same_output(case, family):
    assert_same(build(case, family).eval()(image()), at_start(case, family)(image()))
