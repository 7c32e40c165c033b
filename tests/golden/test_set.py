"""SET against the official module: layers, queries and gradients."""

import pytest

from rein_seg.peft.methods.set import SET, from_official
from tests.golden.collect import cases
from tests.golden.tokens import Module, options

ALL = cases('set', lambda meta: 'config' in meta)
ALONE = cases('set', lambda meta: meta['config']['batch'] == 1)


@pytest.mark.parametrize('golden', ALL)
def test_module_equals_the_official_one(golden):
    method = SET(mode='official', **options(golden.meta['config']))
    Module(golden, method, from_official).check(chained=False)


@pytest.mark.parametrize('golden', ALONE)
def test_channel_mode_is_the_official_one_for_one_image(golden):
    method = SET(mode='channel', **options(golden.meta['config']))
    Module(golden, method, from_official).check(chained=False)


def test_both_kinds_are_here():
    kept = {p.values[0].path.stem for p in ALL}
    assert {'lora_tokens', 'full_tokens_batch2'} <= kept
