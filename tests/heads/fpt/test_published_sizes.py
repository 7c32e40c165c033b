"""Parameters of the whole FTN, with 150 classes, as its paper and pull request build it."""

import pytest

from rein_seg.apis import load_config
from rein_seg.export.count import build_shapes


@pytest.mark.parametrize(
    ('arch', 'millions'),
    [('tiny', 45.10), ('small', 60.60), ('base', 81.94), ('large', 120.09)],
)
def test_parameters_of_the_model(arch, millions):
    options = {'model.backbone.encoder.arch': arch}
    model = build_shapes(load_config('full_ftn_small_ade20k', cfg_options=options))
    del model.auxiliary_head  # trains only
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions
    assert model.backbone.anatomy.divisor == 32
