"""A head whose masks are opened in training gets the hook that opens them, once."""

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.apis import load_config
from rein_seg.config.annealing import HOOK, anneals, fill_annealing
from rein_seg.config.config_paths import Parts
from rein_seg.heads import LinearHead

SEEDS = dict(type='IterationSeedHook')


@pytest.fixture
def opening():
    """The name of a head that asks for the hook."""

    @MODELS.register_module()
    class OpeningHead(LinearHead):
        anneals_masks = True

    yield 'OpeningHead'
    MODELS.module_dict.pop('OpeningHead')


def filled(head, **hooks):
    cfg = Config(dict(model=dict(decode_head=head), **hooks))
    fill_annealing(cfg, Parts(cfg))
    return [hook['type'] for hook in cfg.get('custom_hooks') or []]


def test_the_hook_is_added_behind_the_others(opening):
    assert filled(dict(type=opening)) == [HOOK]
    assert filled(dict(type=opening), custom_hooks=[SEEDS]) == [SEEDS['type'], HOOK]


@pytest.mark.parametrize('listed', [False, True])
def test_auxiliary_heads_and_heads_of_tasks_get_it_too(opening, listed):
    head = dict(type=opening)
    auxiliary = [dict(type='LinearHead'), head] if listed else head
    plain = dict(decode_head=dict(type='LinearHead'))
    for model in (
        dict(plain, auxiliary_head=auxiliary),
        dict(tasks=dict(a=plain, b=dict(decode_head=head))),
        dict(plain, tasks=dict(a=dict(auxiliary_head=auxiliary), b={})),
    ):
        cfg = Config(dict(model=model))
        fill_annealing(cfg, Parts(cfg))
        assert cfg.custom_hooks == [dict(type=HOOK)]


def test_a_hook_that_is_named_stays_the_only_one(opening):
    named = dict(type=HOOK, power=1.0)
    assert filled(dict(type=opening), custom_hooks=[named]) == [HOOK]
    assert filled(dict(type=opening), default_hooks=dict(masks=named)) == []


@pytest.mark.parametrize('head', [dict(type='LinearHead'), dict(type='FCNHead'), [], None])
def test_other_heads_get_none(head):
    assert not anneals(head)
    assert filled(head, custom_hooks=[SEEDS]) == [SEEDS['type']]


@pytest.mark.parametrize(
    ('name', 'count'), [('eomt_tiny_miniscapes', 1), ('rein_tiny_miniscapes', 0)]
)
def test_a_shipped_config_has_the_hook_where_its_head_needs_it(name, count):
    hooks = load_config(name).custom_hooks
    assert [hook['type'] for hook in hooks].count(HOOK) == count
