"""SVF alone: components and their number."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.structures import OpSite
from tests.peft.build import backbone


def test_has_one_value_a_component_and_skips_those_of_zero():
    model = backbone('resnet', type='SVF')
    site = model.anatomy.find(OpSite, role='conv2')[0]
    with torch.no_grad():
        site.module.weight[3:5] = 0  # dead filters
    model.peft.layers.clear()
    model.peft.build(model.anatomy)
    layer = model.peft.layers[site.name.replace('.', '_')]
    assert layer.delta.shape == (1, 8)
    assert layer.left.any(0).tolist() == [True] * 6 + [False] * 2


def test_rank_multiple_cuts_components_and_says_that_the_start_moves():
    model = backbone('convnext', type='SVF', targets=['patch'], rank_multiple=5)
    layer = model.peft.layers['downsample_layers_0_0']
    assert (layer.delta.shape, layer.removed.shape) == ((1, 15), (1, 1))  # of min(16, 3 4 4)
    assert not model.peft.exact_at_start
    with pytest.raises(UserError, match='rank_multiple=0'):
        backbone(type='SVF', rank_multiple=0)


def test_grouped_convolutions_are_refused():
    with pytest.raises(UserError, match='SVF cannot update the grouped'):
        backbone('convnext', type='SVF', targets=['dw'])
