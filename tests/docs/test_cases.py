"""The page of faults names tests that exist."""

import re

import pytest

from tests.paths import REPO

PAGE = (REPO / 'docs/background/cases.md').read_text(encoding='utf-8')
NAMES = sorted(set(re.findall(r'`(\S+\.py)::(test_\w+)`', PAGE)))


@pytest.mark.parametrize('path', sorted({path for path, _ in NAMES}))
def test_named_tests_exist(path):
    text = (REPO / 'tests' / path).read_text(encoding='utf-8')
    missing = [n for p, n in NAMES if p == path and not re.search(rf'^def {n}\(', text, re.M)]
    assert not missing


def test_every_row_has_a_test():
    rows = [row for row in PAGE.splitlines() if row.startswith('| ') and '---' not in row]
    assert [row for row in rows if '::test_' not in row] == ['| fault | test |'] * PAGE.count('## ')
