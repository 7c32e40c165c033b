"""Runs commands in this process."""

import contextlib
import io

from rein_seg.cli import main


def call(*words):
    """Runs a command; returns exit code and stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as err:
        code = main([str(word) for word in words])
    return code, err.getvalue()


def assert_refused(code, err, *parts):
    """Asserts that a command was refused as the user's mistake, in a line with these parts."""
    assert code == 2, err
    error = next(line for line in err.splitlines() if line.startswith('error: '))
    for part in parts:
        assert part in error, error
