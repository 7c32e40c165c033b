"""Files are written whole or not at all."""

import os

import pytest

from rein_seg.checkpoint import atomic_path


def test_atomic_path_keeps_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')
    with pytest.raises(KeyError), atomic_path(target) as temporary:
        temporary.write_text('half')
        raise KeyError
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']
    with atomic_path(target) as temporary:
        temporary.write_text('new')
    assert target.read_text() == 'new'
