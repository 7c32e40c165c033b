"""The contract of DESIGN section 4: methods under `torch.compile`."""

import pytest
import torch

from tests.peft.cases import CASES
from tests.peft.contract import build, image, randomise

COMPILED = [  # two methods on each kind of encoder; of the others one of each hook and arithmetic
    *((name, family) for name in ('lora', 'rein') for family in ('vit', 'convnext', 'swin')),
    ('rein', 'dinov2_swiglu'),
    *((name, 'vit') for name in ('dora', 'vera', 'pego', 'svf', 'ssf', 'adaptformer', 'mona')),
    *((name, 'vit') for name in ('fada', 'vpt_shallow', 'spm')),
    ('conv_adapter', 'swin'),
]


@pytest.mark.parametrize(('name', 'family'), COMPILED)
def test_compile_gives_the_same_output(name, family):
    case = next(c for c in CASES if c.name == name)
    backbone = build(case, family).eval()
    randomise(backbone)
    with torch.no_grad():
        expected = backbone(image())
        compiled = torch.compile(backbone.encoder, backend='eager', dynamic=False)
        maps = compiled(image())
    for x, y in zip(maps, expected.maps, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)
