"""Every case has a test, every kind of case is kept here, and the folder stays small."""

import importlib
import json
from pathlib import Path

import pytest

from tests.golden.collect import CLAIMED, CONTAINED, DATA, KINDS, kind_of, roots, sidecars

# Vectors of models that the package does not have yet: remove a family when its tests come.
NOT_BUILT_YET: set[str] = set()


@pytest.mark.parametrize('root', roots(), ids=str)
def test_every_case_has_a_test(root):
    unclaimed = [
        f'{family}/{path.name}'
        for family, path in sidecars(root)
        if family not in NOT_BUILT_YET
        and kind_of(family, path, json.loads(path.read_text())) is None
    ]
    assert not unclaimed, 'name their kinds in KINDS and test them'
    assert not NOT_BUILT_YET & KINDS.keys()


def test_every_kind_is_asked_for():
    for path in Path(__file__).parent.glob('test_*.py'):
        importlib.import_module(f'tests.golden.{path.stem}')
    assert {family: set(kinds) for family, kinds in KINDS.items()} == CLAIMED


def test_every_kind_is_kept_here():
    kept = {
        (family, kind_of(family, path, json.loads(path.read_text())))
        for family, path in sidecars(DATA)
    }
    every = {(family, kind) for family, kinds in KINDS.items() for kind in kinds}
    assert kept == every - CONTAINED.keys()
    assert kept >= set(CONTAINED.values())


@pytest.mark.parametrize(
    ('family', 'name', 'meta', 'kind'),
    [
        ('conv_lora', 'other_s7', {'config': {'kind': 'losses'}}, 'losses'),
        ('rein', 'other', {'kind': 'eva'}, 'eva'),
        ('ssf', 'vit_block_wide', {'config': {}}, 'vit'),
        ('svf', 'conv5x5', {'config': {'kind': 'conv'}}, ''),
        ('rein', 'other', {'kind': 'unheard of'}, None),
        ('unheard_of', 'case', {'kind': 'eva'}, None),
    ],
)
def test_kind_of_a_case(family, name, meta, kind):
    assert kind_of(family, Path(f'{name}.json'), meta) == kind


def test_the_vectors_leave_room_for_more():
    assert sum(path.stat().st_size for path in DATA.rglob('*')) < 40e6
