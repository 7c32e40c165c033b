"""Freed memory that is kept, seen by page faults."""

import os
import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc is asked')
def test_freed_memory_is_kept_unless_the_environment_says_otherwise():
    """In a process of its own, where it stays."""
    code = """
import resource
from rein_seg.fast.allocator import giving_memory_back, keep_freed_memory
def faults():
    bytearray(2**26)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        bytearray(2**26)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(keep_freed_memory())
print(faults())
with giving_memory_back():
    print(faults())
print(faults())
"""
    found = []
    for extra in ({}, {'MALLOC_ARENA_MAX': '8'}):
        own = {k: v for k, v in os.environ.items() if not k.startswith(('MALLOC_', 'LD_PRELOAD'))}
        done = subprocess.run(
            [sys.executable, '-c', code], env={**own, **extra}, capture_output=True, text=True
        )
        found.append(done.stdout.split())
    (kept, *ours), (left, *theirs) = found
    assert (kept, left) == ('True', 'False')
    assert [int(number) > 1000 for number in ours] == [False, True, False]
    assert [int(number) > 1000 for number in theirs] == [True, True, True]
