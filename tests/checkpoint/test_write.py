"""Files are written whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

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


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    """A limit on the size of files stands in for it, in a process of its own."""
    code = """
import json, resource, torch
from rein_seg.checkpoint.write import save_checkpoint, save_tensors, write_json
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
tensors = {'a': torch.zeros(10000)}
for write in (
    lambda: save_checkpoint('run/a.pth', tensors),
    lambda: save_tensors('run/b.safetensors', tensors, {}),
    lambda: write_json('run/c.json', [0] * 10000),
):
    try:
        write()
    except OSError as error:
        print(error.filename, error.strerror, sep=': ')
"""
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        'run/a.pth: cannot be written; is the disk full?',
        'run/b.safetensors: cannot be written; is the disk full?',
        'run/c.json: File too large',
    ], done.stderr
    assert not list((tmp_path / 'run').iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError) as error, atomic_path(tmp_path / 'file' / 'x.json'):
        pass
    assert error.value.filename == str(tmp_path / 'file')


def test_a_pipe_is_written_and_stays_a_pipe(tmp_path):
    """A rename would put a file in its place, of a device such as /dev/full, too."""
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_path(pipe) as temporary:
        temporary.write_text('scores')
    assert os.read(reader, 100) == b'scores'
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError), atomic_path(tmp_path):
        pass


def test_a_full_device_is_an_error_that_names_it():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        with atomic_path('/dev/full') as temporary:
            temporary.write_text('scores')
    assert Path('/dev/full').is_char_device()
