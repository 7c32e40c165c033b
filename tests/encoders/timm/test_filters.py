"""Options of timm's filters are those that timm's own constructors give them."""

from functools import partial

import pytest
import timm.models._builder
import timm.models.deit
import timm.models.vision_transformer

from rein_seg.encoders.timm.filters import filter_options


@pytest.mark.parametrize(
    'name',
    [
        *('vit_base_patch16_radio_v3', 'vit_huge_patch16_radio_v4', 'flexivit_small'),
        *('deit3_small_patch16_224', 'aimv2_large_patch14_224', 'vit_tiny_patch16_224'),
        *('vit_pe_spatial_tiny_patch16_512', 'eva02_tiny_patch14_224', 'beitv2_base_patch16_224'),
    ],
)
def test_options_are_those_of_timm(name, monkeypatch):
    given = {}
    constructor = timm.models.model_entrypoint(name).__globals__

    def build(*args, pretrained_filter_fn=None, **kwargs):
        given['function'] = pretrained_filter_fn
        return 'no model'

    monkeypatch.setitem(constructor, 'build_model_with_cfg', build)
    assert timm.models.model_entrypoint(name)() == 'no model'
    function = given['function']
    options = function.keywords if isinstance(function, partial) else {}
    assert filter_options(name) == options
