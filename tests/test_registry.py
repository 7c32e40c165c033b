"""Names of encoders; methods by name, and their descriptions."""

import pytest
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError, near_misses
from rein_seg.registry import build_method, describe_method, registered_name


def test_near_misses_are_case_blind_and_fall_back_to_the_list():
    assert near_misses('lora', ['LoRA', 'Rein']) == "did you mean 'LoRA'?"
    assert near_misses('xyz', ['LoRA', 'Rein']) == "known: 'LoRA', 'Rein'"


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='Lora'), "peft type='Lora' is not a registered method; did you mean 'LoRA'"),
        (dict(), 'peft type=None is not a registered method'),
        (dict(type='LoRA', rnk=4), "takes no 'rnk' .*did you mean 'rank'"),
        (dict(type='LoRA', rank=0), 'rank=0: expected a whole number, at least 1'),
        (dict(type='Rein', num_tokens=1), 'num_tokens=1: expected a whole number, at least 2'),
        (dict(type='Rein', rank=-1), 'rank=-1'),
        (dict(type='HFPeft'), r"'HFPeft' needs config: give dict\(type='HFPeft', config=...\)"),
    ],
)
def test_bad_method_configs(cfg, message):
    with pytest.raises(UserError, match=message):
        build_method(cfg)


def test_registered_names_have_the_scope_of_their_package():
    for name in ('mmseg.ResNet', 'mmpretrain.ResNet', 'mmpretrain.VisionTransformer'):
        assert registered_name(MODELS.get(name)) == name
    assert registered_name(MODELS.get('SAMViT')) == 'rein_seg.SAMViT'  # registers in mmseg's
    unregistered = type('Mine', (nn.Module,), {'__module__': 'my_project.encoders'})
    assert registered_name(unregistered) == 'my_project.Mine'


def test_describe_fills_in_defaults():
    assert describe_method(dict(type='Rein')) == describe_method(dict(type='Rein', rank=16))
    assert describe_method(dict(type='Rein')) != describe_method(dict(type='Rein', rank=8))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (
            dict(type='LoRA', parts=['q']),
            r"LoRA takes no 'parts': it is called targets=\['q'\] now",
        ),
        (dict(type='BitFit', roles=['norm']), r"takes no 'roles': it is called targets=\['norm'\]"),
        (dict(type='Rein', parts=['q']), "takes no 'parts'"),
    ],
)
def test_old_words_of_a_config_are_refused_with_the_new_one(cfg, message):
    with pytest.raises(UserError, match=message):
        build_method(cfg)
