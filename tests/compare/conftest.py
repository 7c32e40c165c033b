"""A comparison whose training takes milliseconds."""

import functools

import pytest

from rein_seg.compare import compare
from tests.compare.made import write_fake_train
from tests.run.tiny_run import write_config


@pytest.fixture
def fake(tmp_path):
    """Returns a function that compares LoRA and Frozen in ``tmp_path/work``, and what it said."""
    said = []
    call = functools.partial(
        compare,
        [write_config(tmp_path)],
        peft=['LoRA', 'Frozen'],
        work_dir=str(tmp_path / 'work'),
        say=said.append,
        train=write_fake_train(tmp_path),
    )
    return call, said
