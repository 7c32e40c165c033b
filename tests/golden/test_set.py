"""SET against the official module: layers, queries and gradients."""

import pytest

from rein_seg.peft.methods.set import SET, from_official
from tests.golden.collect import cases
from tests.golden.tokens import Module, options

ALL = cases('set', '')
ALONE = [case for case in ALL if case.values[0].meta['config']['batch'] == 1]


@pytest.mark.parametrize('golden', ALL)
def test_module_equals_the_official_one(golden):
    method = SET(mode='official', **options(golden.meta['config']))
    Module(golden, method, from_official).check(chained=False)


@pytest.mark.parametrize('golden', ALONE)
def test_channel_mode_is_the_official_one_for_one_image(golden):
    method = SET(mode='channel', **options(golden.meta['config']))
    Module(golden, method, from_official).check(chained=False)
