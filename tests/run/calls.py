"""Tools called as the shell calls them, and what a refusal says."""

import importlib.util
import sys

from rein_seg import cli
from tests.paths import REPO


def load_tool(tool):
    spec = importlib.util.spec_from_file_location(tool, REPO / f'tools/{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(tool, *args, monkeypatch, capsys):
    """Runs a tool's main as the shell would; returns exit code and stderr."""
    module = load_tool(tool)
    monkeypatch.setattr(sys, 'argv', [f'tools/{tool}.py', *args])
    capsys.readouterr()
    code = cli.run(module.main)
    return code, capsys.readouterr().err


def assert_refused(code, err, *parts):
    assert code == 2, err
    lines = [line for line in err.strip().splitlines() if 'Warning' not in line]
    error = next(line for line in lines if line.startswith('error: '))
    for part in parts:
        assert part in error, error
