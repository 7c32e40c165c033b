"""Runs the examples in the docstrings of the package: one test a module."""

import ast
import doctest
import importlib
import logging
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger

from tests.paths import PACKAGE, REPO
from tests.prose import documented

FLAGS = doctest.REPORT_NDIFF | doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def with_examples():
    """Finds them in the source, so that collecting the tests imports nothing."""
    for path in sorted(PACKAGE.rglob('*.py')):
        if '>>> ' in path.read_text():
            name = '.'.join(path.relative_to(REPO).with_suffix('').parts)
            yield name.removesuffix('.__init__')


@pytest.fixture
def _fixed_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # as in a new process: an earlier test's training is not this one's
    monkeypatch.setattr(MessageHub, '_instance_dict', OrderedDict())
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
    numpy_options = np.get_printoptions()
    np.set_printoptions(precision=4, suppress=True, linewidth=100)
    # its lines carry the time
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(level)
    torch.set_printoptions(profile='default')
    np.set_printoptions(**numpy_options)


@pytest.mark.usefixtures('_fixed_output')
@pytest.mark.parametrize('name', with_examples())
def test_examples_of_a_module(name):
    module = importlib.import_module(name)
    # an example imports all it uses: a reader can paste it
    found = [test for test in doctest.DocTestFinder().find(module, globs={}) if test.examples]
    source = Path(module.__file__).read_text()
    written = {names for names, text in documented(ast.parse(source)) if '>>> ' in text.value}
    seen = {tuple(test.name.removeprefix(name).strip('.').split('.')) for test in found}
    assert seen - {('',)} == written - {()}, 'an example that doctest does not find'
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in found:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        report = []
        failures, _ = runner.run(test, out=report.append)
        assert not failures, ''.join(report)
