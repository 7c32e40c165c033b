"""The contract of DESIGN section 4: every method on a tiny encoder of every family."""

import copy
import importlib.util

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS
from tests.peft.cases import CASES


def needed(case):
    """Skips where a package that the method stands on is not installed."""
    missing = case.needs is not None and importlib.util.find_spec(case.needs) is None
    return [pytest.mark.skipif(missing, reason=f'the {case.needs} package is not installed')]


PAIRS = [
    pytest.param(case, family, id=f'{case.name}-{family}', marks=needed(case))
    for case in CASES
    for family in ENCODERS
    if (case.families is None or family in case.families) and not family.startswith(case.without)
]
COMPILED = [  # a few on each kind of encoder; of the others one of each hook and arithmetic
    *(
        (name, family)
        for name in ('lora', 'rein', 'full')
        for family in ('vit', 'dinov2_swiglu', 'convnext', 'swin')
    ),
    *((name, 'vit') for name in ('dora', 'vera', 'pego', 'soma', 'svf', 'ssf', 'bitfit')),
    *((name, 'vit') for name in ('adaptformer', 'mona', 'fada', 'set', 'vpt_shallow', 'spm')),
    *((name, 'swin') for name in ('conv_adapter', 'vpt')),
]
on_every_pair = pytest.mark.parametrize(('case', 'family'), PAIRS)


def build(case, family, **options):
    torch.manual_seed(1)
    cfg = dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=case.cfg, **options)
    return MODELS.build(cfg)


def frozen(family):
    return MODELS.build(
        dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=dict(type='Frozen'))
    )


def image(batch=2, height=32, width=48):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(7))


def total(features: Features) -> torch.Tensor:
    """A scalar that every output takes part in, each element with a weight of its own."""
    tensors = [*features.maps] + ([] if features.queries is None else [features.queries])
    return sum((t * torch.linspace(-1, 1, t.numel()).reshape(t.shape)).sum() for t in tensors)


def training_loss(backbone):
    """`total` of a forward pass plus the method's own losses: some parameters train on these only.

    Seeded, so that a method's noise or dropout is the same in every model compared.
    """
    torch.manual_seed(5)
    return total(backbone(image())) + sum(backbone.peft.aux_losses().values())


def randomise(backbone):
    """Gives trained-looking values to what starts at zero, so that the method shows."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for param in backbone.peft.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.1)


def assert_same(a: Features, b: Features, tolerance=0.0):
    assert len(a.maps) == len(b.maps)
    for x, y in zip(a.maps, b.maps, strict=True):
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)
    if a.queries is not None:
        torch.testing.assert_close(a.queries, b.queries, rtol=tolerance, atol=tolerance)


@on_every_pair
@torch.no_grad()  # with gradients, Full on Swin takes another kernel: its bias trains
def test_start_equals_the_frozen_encoder(case, family):
    backbone = build(case, family).eval()
    if not backbone.peft.exact_at_start and case.start is None:
        pytest.skip('starts anywhere')
    maps, reference = backbone(image()).maps, frozen(family).eval()(image()).maps
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
    difference = (backbone(image()).maps[-1] - frozen(family).eval()(image()).maps[-1]).abs().max()
    assert difference > 1e-3


@on_every_pair
def test_trainable_set_is_the_declared_one(case, family):
    backbone = build(case, family)
    declared = {id(p) for _, p in backbone.peft.trainable_parameters()}
    switched_on = {id(p) for p in backbone.parameters() if p.requires_grad}
    assert declared == switched_on


@on_every_pair
def test_every_trainable_parameter_gets_a_gradient(case, family):
    backbone = build(case, family)
    trainable = {n for n, p in backbone.named_parameters() if p.requires_grad}
    if not trainable:
        assert not training_loss(backbone).requires_grad
        return
    randomise(backbone)
    training_loss(backbone).backward()
    got = {n for n, p in backbone.named_parameters() if p.grad is not None}
    assert got == trainable
    grads = [p.grad for p in backbone.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in grads)
    still = {n for n, p in backbone.named_parameters() if p.grad is not None and not p.grad.any()}
    assert not still, still


@on_every_pair
def test_state_dict_round_trip_is_strict_and_small(case, family):
    backbone = build(case, family)
    randomise(backbone)
    state = {k: v.clone() for k, v in backbone.state_dict().items()}
    trained = {n for n, p in backbone.named_parameters() if p.requires_grad}
    assert trained <= set(state)
    if case.name != 'full':
        assert set(state) == {f'peft.{n}' for n in backbone.peft.state_dict()}
    other = build(case, family)
    other.load_state_dict(state, strict=True)
    assert_same(other.eval()(image()), backbone.eval()(image()))
    if state:
        state.pop(next(iter(state)))
        with pytest.raises(RuntimeError, match='Missing'):
            build(case, family).load_state_dict(state, strict=True)


@on_every_pair
def test_merge_equals_unmerged(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    if not case.merges:
        with pytest.raises(NotImplementedError, match='cannot be folded'):
            backbone.peft.merge()
        return
    with torch.no_grad():
        before = backbone(image())
        backbone.peft.merge()
        assert_same(backbone(image()), before, tolerance=1e-5)
    with pytest.raises(RuntimeError, match='merged'):
        backbone.peft.detach()
    with pytest.raises(RuntimeError, match='merged already'):
        backbone.peft.merge()


@on_every_pair
@torch.no_grad()  # with gradients, Full on Swin takes another kernel: its bias trains
def test_detach_restores_bit_for_bit(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    backbone.peft.detach()
    assert_same(Features(tuple(backbone.encoder(image()))), frozen(family).eval()(image()))
    backbone.peft.attach(backbone.encoder, backbone.anatomy)
    fresh = build(case, family).eval()
    randomise(fresh)
    assert_same(backbone(image()), fresh(image()))


@on_every_pair
def test_batch_of_one_and_other_sizes(case, family):
    backbone = build(case, family).eval()
    randomise(backbone)
    both = backbone(image(batch=2))
    one = backbone(image(batch=2)[:1])
    for x, y in zip(both.maps, one.maps, strict=True):
        torch.testing.assert_close(x[:1], y, rtol=1e-4, atol=1e-5)
    tall = backbone(image(height=64, width=32)).maps[0]
    assert tall.shape[-2] == 2 * tall.shape[-1]


@on_every_pair
def test_activation_checkpointing_has_the_same_gradients(case, family):
    plain, saving = build(case, family), build(case, family, activation_checkpointing=True)
    for backbone in (plain, saving):
        randomise(backbone)
        loss = training_loss(backbone)
        if loss.requires_grad:
            loss.backward()
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5, msg=name)


@on_every_pair
def test_bf16_autocast_runs_and_stays_near(case, family):
    backbone = build(case, family).eval()
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
def test_a_copy_without_gradients_still_saves_what_trains(case, family):
    """As averaging hooks make it."""
    backbone = build(case, family)
    twin = copy.deepcopy(backbone).requires_grad_(False)
    assert set(twin.state_dict()) == set(backbone.state_dict())


@on_every_pair
def test_same_seed_same_output(case, family):
    assert_same(build(case, family).eval()(image()), build(case, family).eval()(image()))


@pytest.mark.parametrize(('name', 'family'), COMPILED)
def test_compile_gives_the_same_output(name, family):
    case = next(c for c in CASES if c.name == name)
    backbone = build(case, family).eval()
    randomise(backbone)
    with torch.no_grad():
        expected = backbone(image())
        compiled = torch.compile(backbone.encoder, backend='aot_eager', dynamic=False)
        maps = compiled(image())
    for x, y in zip(maps, expected.maps, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


@on_every_pair
def test_frozen_parts_stay_in_eval_mode(case, family):
    backbone = build(case, family)
    assert backbone.train() is backbone
    assert backbone.peft.training
    assert backbone.encoder.training == (case.name == 'full')
    assert not backbone.train(False).encoder.training
