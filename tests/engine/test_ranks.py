"""Runs on several processes: one that hangs or ends is noticed by the others, and named."""

import os
import signal
import subprocess
import sys

import pytest

from rein_seg.engine.ranks import TIMEOUT, lost_rank, setup_distributed
from rein_seg.errors import UserError
from tests.paths import REPO

SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {repo!r})
import torch
from rein_seg.cli.exits import run
from rein_seg.engine.ranks import setup_distributed
setup_distributed('pytorch', dict(env_cfg=dict(dist_cfg=dict(timeout=3))))
torch.distributed.barrier()
if torch.distributed.get_rank() == 1:
    os.kill(os.getpid(), signal.SIGSTOP)
os._exit(run(lambda: torch.distributed.all_reduce(torch.ones(2))))
"""


def start(rank):
    """Starts a process of two, without a launcher."""
    place = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(20_000 + os.getpid() % 20_000))
    environment = {**os.environ, **place, 'RANK': str(rank), 'WORLD_SIZE': '2', 'LOCAL_RANK': '0'}
    environment['CUDA_VISIBLE_DEVICES'] = ''
    code = SCRIPT.format(repo=str(REPO))
    return subprocess.Popen(
        [sys.executable, '-c', code], env=environment, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_rank_that_hangs_is_noticed_and_named():
    first, second = start(0), start(1)
    try:
        error = first.communicate(timeout=120)[1].splitlines()[-1]
    finally:
        second.send_signal(signal.SIGKILL)
        second.communicate()
    assert first.returncode == 1
    assert error.startswith('[rank 0] error: rank 1 did not answer in time')
    assert 'go on with --resume' in error


@pytest.mark.parametrize('timeout', [0, -3, '60', True, float('nan'), 1e30])
def test_a_timeout_is_a_number_of_seconds(monkeypatch, timeout):
    monkeypatch.setenv('RANK', '0')
    with pytest.raises(UserError, match=r'env_cfg.dist_cfg.timeout=.* expected seconds, above 0'):
        setup_distributed('pytorch', dict(env_cfg=dict(dist_cfg=dict(timeout=timeout))))
    assert TIMEOUT == 1800


def test_other_errors_are_no_lost_rank(monkeypatch):
    monkeypatch.setenv('RANK', '0')
    assert lost_rank(RuntimeError('shapes differ')) is None
