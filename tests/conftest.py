"""Fixtures that all tests share."""

import gc
import os
import sys
from pathlib import Path

import pytest
import torch

os.environ.setdefault('OMP_NUM_THREADS', '2')
os.environ['REIN_SEG_OFFLINE'] = '1'  # no test leaves this machine; child processes neither
import rein_seg.apis  # noqa: E402, F401  registers everything
from tests.paths import REPO  # noqa: E402

_LONG = {'whole_matrix', 'tutorial', 'wheel'}  # marks of tests that make test leaves out


@pytest.fixture(autouse=True)
def _deterministic():
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')
    torch.manual_seed(0)
    if 'torch._dynamo' in sys.modules:
        # other tests' graphs of the same code would make its numbers symbols: minutes of sympy
        torch.compiler.reset()


@pytest.fixture(scope='session')
def repo() -> Path:
    return REPO


def pytest_collection_finish():
    # mmengine collects garbage for each data set that it builds: 7 times a run, over all modules
    gc.freeze()


def pytest_addoption(parser):
    parser.addoption('--full-size', action='store_true', help='run the full_size tests, too')
    parser.addoption('--whole-matrix', action='store_true', help='run the whole_matrix tests, too')


def pytest_collection_modifyitems(config, items):
    if not config.getoption('whole_matrix'):
        left_out = [item for item in items if not _LONG.isdisjoint(item.keywords)]
        items[:] = [item for item in items if _LONG.isdisjoint(item.keywords)]
        config.hook.pytest_deselected(items=left_out)
    skipped = {}
    if not torch.cuda.is_available():
        skipped['gpu'] = 'no GPU here'
    if not config.getoption('full_size'):
        skipped['full_size'] = 'needs 6 GB of memory and minutes: make test-full'
    for item in items:
        for mark in skipped.keys() & item.keywords:
            item.add_marker(pytest.mark.skip(reason=skipped[mark]))


def pytest_terminal_summary(terminalreporter):
    """Counts what the contract tests ran on."""
    from tests.peft.cases import CASES

    passed = [report.nodeid for report in terminalreporter.stats.get('passed', [])]
    types = {c.name: c.cfg['type'] if isinstance(c.cfg, dict) else c.name for c in CASES}
    for name, start in (
        ('contract', 'tests/peft/test_contract'),
        ('EoMT', 'tests/heads/eomt/test_with_methods'),
    ):
        checks = [nodeid for nodeid in passed if start in nodeid]
        pairs = {tuple(nodeid[:-1].rpartition('[')[2].split('-')) for nodeid in checks}
        if pairs:
            methods = {types[method] for method, _ in pairs}
            families = {family for _, family in pairs}
            single = {(types[method], family) for method, family in pairs}
            terminalreporter.write_line(
                f'{name}: {len(single)} pairs of method and encoder ({len(methods)} methods, lists '
                f'included, {len(families)} encoders), {len(pairs)} with variants of methods; '
                f'{len(checks)} checks passed'
            )


@pytest.fixture(scope='module')
def quick():
    """Leaves out what takes much of the time of a short run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('gc.collect', lambda *args: 0)
        yield
