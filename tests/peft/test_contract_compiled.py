"""The contract of methods: under `torch.compile`."""

import pytest
import torch

from tests.peft.cases import named
from tests.peft.contract import build, image, randomise

COMPILED = [  # a few on each kind of encoder; of the others one of each hook and arithmetic
    *(
        (name, family)
        for name in ('lora', 'rein', 'full')
        for family in ('vit', 'dinov2_swiglu', 'convnext', 'swin')
    ),
    *((name, 'vit') for name in ('dora', 'vera', 'pego', 'soma', 'svf', 'ssf', 'bitfit')),
    *((name, 'vit') for name in ('adaptformer', 'mona', 'fada', 'set', 'vpt_shallow', 'spm')),
    *((name, 'swin') for name in ('conv_adapter', 'vpt')),
    *(('vpt', 'pvt_v1'), ('lora', 'pvt_v2'), ('rein', 'pvt_linear'), ('vpt', 'pgt')),
]


@pytest.mark.parametrize(('name', 'family'), COMPILED)
def test_compile_gives_the_same_output(name, family):
    backbone = build(named(name), family).eval()
    randomise(backbone)
    with torch.no_grad():
        expected = backbone(image())
        compiled = torch.compile(backbone.encoder, backend='aot_eager', dynamic=False)
        maps = compiled(image())
    for x, y in zip(maps, expected.maps, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)
