"""SIGTERM ends the process that asked for it, and no other in another way than before."""

import os
import signal
import threading

import pytest

from rein_seg.errors import Terminated
from rein_seg.signals import terminable


def test_sigterm_is_an_interrupt_inside_and_as_before_outside():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable(), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert issubclass(Terminated, KeyboardInterrupt)


def test_a_forked_worker_dies_of_it_without_a_word():
    with terminable():
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_not_under_torchrun_nor_in_a_thread(monkeypatch):
    before, found = signal.getsignal(signal.SIGTERM), []

    def look():
        with terminable():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    monkeypatch.setenv('RANK', '0')
    look()
    assert found == [before, before]
