"""FADA's channel mode against the official module: layers, queries and gradients."""

import pytest

from rein_seg.peft.methods.fada import FADA, from_official
from tests.golden.collect import cases
from tests.golden.tokens import Module, options


@pytest.mark.parametrize('golden', cases('fada', ''))
def test_module_equals_the_official_one(golden):
    method = FADA(mode='channel', **options(golden.meta['config']))
    Module(golden, method, from_official).check(chained=True)
