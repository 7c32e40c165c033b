"""The record of benchmarks and protocols is that of the configs."""

import json

import pytest

from rein_seg.config.builtin import BENCHMARKS, RECORD, collect


def test_the_record_is_that_of_the_configs():
    assert json.loads(RECORD.read_text()) == collect(), 'run: make published'


def test_two_protocols_of_one_name_are_refused(tmp_path):
    for name, side in (('a', 1), ('b', 2)):
        text = (
            f"benchmark = dict(name='{name}')\nprotocols = dict(one=dict(crop_size=({side}, 1)))\n"
        )
        (tmp_path / f'{name}.py').write_text(text)
    with pytest.raises(ValueError, match="b.py: protocol 'one' is another one elsewhere"):
        collect(tmp_path)
    assert BENCHMARKS.is_dir()
