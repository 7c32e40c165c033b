"""Targets of methods: roles and parts of operations."""

import pytest

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError
from rein_seg.peft import LoRA
from rein_seg.peft.choose import find_operations, rows_of, target_names
from tests.encoders.tiny import ENCODERS


def anatomy(family='vit'):
    return find_anatomy(build_encoder(ENCODERS[family])[0])


@pytest.mark.parametrize(
    ('targets', 'expected'),
    [
        (['q', 'v'], {'qkv': ((0, 32), (64, 96))}),
        (['qkv'], {'qkv': ((0, 96),)}),
        (['k', 'qkv'], {'qkv': ((0, 96),)}),
        (['fc2', 'k'], {'qkv': ((32, 64),), 'fc2': ((0, 32),)}),
    ],
)
def test_rows_of_roles_and_parts(targets, expected):
    sites = find_operations(anatomy(), 'LoRA', targets=targets, blocks=[0])
    assert {site.role: rows_of(site) for site in sites} == expected


@pytest.mark.parametrize(
    ('targets', 'expected'),
    [
        (['qkv'], {'q': ((0, 16),), 'kv': ((0, 32),)}),
        (['q', 'v'], {'q': ((0, 16),), 'kv': ((16, 32),)}),
        (['kv', 'v'], {'kv': ((0, 32),)}),
    ],
)
def test_queries_keys_and_values_in_modules_of_their_own(targets, expected):
    sites = find_operations(anatomy('pgt'), 'LoRA', targets=targets, blocks=[0])
    assert {site.role: rows_of(site) for site in sites} == expected


def test_blocks_and_unknown_targets():
    tiny = anatomy()
    sites = find_operations(tiny, 'LoRA', targets=['proj'], blocks=[-1, 0])
    assert [site.block for site in sites] == [0, 2]
    with pytest.raises(UserError, match=r"LoRA targets=\['dw', 'q'\]: .*no \['dw'\]; it has .*fc1"):
        find_operations(tiny, 'LoRA', targets=['dw', 'q'])
    with pytest.raises(UserError, match='has no ..patch'):  # outside the blocks
        find_operations(tiny, 'LoRA', targets=['patch'], blocks=[0])


def test_names_are_roles_and_parts():
    assert target_names(anatomy(), blocks=[0]) == {'qkv', 'q', 'k', 'v', 'proj', 'fc1', 'fc2'}
    assert target_names(anatomy()) - target_names(anatomy(), blocks=[0]) == {'patch'}


def test_an_encoder_without_operations_is_named():
    for method in (LoRA(), LoRA(targets=['q'])):
        with pytest.raises(
            UserError, match="LoRA changes operations .* 'resnetv2' encoder has none"
        ):
            method.find_sites(anatomy('resnetv2'))
