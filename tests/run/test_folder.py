"""A folder of a run belongs to one process, until it ends, however it ends."""

import signal
import subprocess
import sys

import pytest

from rein_seg.errors import UserError
from rein_seg.run.folder import run_folder

OTHER = """
import sys, time
from rein_seg.run.folder import run_folder
with run_folder(sys.argv[1]):
    print('locked', flush=True)
    time.sleep(60)
"""


def test_two_runs_do_not_share_a_folder(tmp_path):
    folder = tmp_path / 'run'
    with subprocess.Popen(
        [sys.executable, '-c', OTHER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as other:
        while other.stdout.readline() != 'locked\n':  # imports may print
            assert other.poll() is None
        refused = rf'in use by another run \(process {other.pid}\): wait for its end, or name'
        with pytest.raises(UserError, match=refused), run_folder(folder):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    with run_folder(folder) as free:  # a killed run leaves no lock
        assert not free.is_used()
    assert not list(folder.iterdir())


def test_only_checkpoints_and_results_make_a_folder_used(tmp_path):
    with run_folder(tmp_path) as folder:
        for name in ('tiny.py', 'iter_x.pth', '20260101_000000.log', 'iter_2.pth.aside'):
            (tmp_path / name).touch()
        assert not folder.is_used()
        folder.move_old_run({})
        assert (tmp_path / 'tiny.py').exists()
        (tmp_path / 'best_mIoU_iter_2.pth').touch()
        assert folder.is_used()


def test_numbers_of_moved_folders_are_not_used_twice(tmp_path):
    path = tmp_path / 'run'
    (tmp_path / 'run.1').mkdir()
    with run_folder(path) as folder:
        (path / 'iter_2.pth').touch()
        folder.move_old_run({'data_root': str(tmp_path)})
        assert (tmp_path / 'run.2/iter_2.pth').exists()
        assert not list(path.glob('*.pth'))
        (path / 'results.json').touch()
        with pytest.raises(UserError, match=r'since data_root=.*/run/data lies in it: name anoth'):
            (path / 'data').mkdir()
            folder.move_old_run({'data_root': str(path / 'data')})
