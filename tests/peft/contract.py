"""Every method on a tiny encoder of every family: what the tests of the contract share."""

import functools
import importlib.util

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS, POST_NORM, layout
from tests.peft.cases import CASES, named


def needed(case):
    """Skips where a package that the method stands on is not installed."""
    missing = case.needs is not None and importlib.util.find_spec(case.needs) is None
    return [pytest.mark.skipif(missing, reason=f'the {case.needs} package is not installed')]


def families(case):
    """Lists the encoders that have the sites of a case."""
    fit = [name for name in ENCODERS if case.families is None or name in case.families]
    return [name for name in fit if not name.startswith(case.without)]


def marks(case, family):
    """Of each layout the first encoder always runs, the others with the whole matrix."""
    alike = [name for name in families(case) if layout(name) == layout(family)]
    return [*needed(case), *([] if family == alike[0] else [pytest.mark.whole_matrix])]


PAIRS = [
    pytest.param(case, family, id=f'{case.name}-{family}', marks=marks(case, family))
    for case in CASES
    for family in families(case)
]
on_every_pair = pytest.mark.parametrize(('case', 'family'), PAIRS)


def build(case, family, **options):
    torch.manual_seed(1)
    cfg = dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=case.cfg)
    backbone = MODELS.build({**cfg, **options})
    if case.classes is not None:
        shape = case.classes, backbone.joint_dims
        text = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        words = dict(text=text, fixed_text=torch.nn.functional.normalize(text))
        backbone.register_forward_pre_hook(
            lambda module, args, kwargs: (args, {**kwargs, **words}), with_kwargs=True
        )
    return backbone


def at_start(case, family):
    """A backbone in evaluation mode that is built once: leave it as it is."""
    return _at_start(case.name, family)


@functools.cache
def _at_start(name, family):
    return build(named(name), family).eval()


@functools.cache
def frozen_features(family):
    """What the bare encoder gives for `image()`."""
    peft = dict(type='Frozen')
    cfg = dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft)
    with torch.no_grad():
        return MODELS.build(cfg).eval()(image())


def image(batch=2, height=32, width=48):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(7))


def total(features: Features) -> torch.Tensor:
    """A scalar that every output takes part in, each element with a weight of its own."""
    tensors = [*features.maps] + ([] if features.queries is None else [features.queries])
    tensors += features.joint or ()
    return sum((t * torch.linspace(-1, 1, t.numel()).reshape(t.shape)).sum() for t in tensors)


def training_loss(backbone):
    """`total` of a forward pass plus the method's own losses: some parameters train on these only.

    Seeded, so that a method's noise or dropout is the same in every model compared.
    """
    torch.manual_seed(5)
    loss = total(backbone(image())) + sum(backbone.peft.aux_losses().values())
    return loss + sum(backbone.peft.image_losses(torch.tensor([0, 2])).values())


def randomise(backbone):
    """Gives trained-looking values to what starts at zero, so that the method shows."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for param in backbone.peft.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.1)


def rounding(family):
    """How far results of the same weights in another order of sums may be."""
    return 1e-4 if family in POST_NORM else 1e-5


def assert_same(a: Features, b: Features, tolerance=0.0):
    assert len(a.maps) == len(b.maps)
    pairs = list(zip(a.maps, b.maps, strict=True))
    if a.joint is not None and b.joint is not None:
        pairs += zip(a.joint, b.joint, strict=True)
    for x, y in pairs:
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)
    if a.queries is not None:
        torch.testing.assert_close(a.queries, b.queries, rtol=tolerance, atol=tolerance)
