"""The docs site builds without a broken link."""

import os
import subprocess
import sys

import pytest

from tests.paths import REPO


@pytest.mark.tutorial
def test_site_builds_in_strict_mode(tmp_path):
    pytest.importorskip('mkdocs')
    command = [
        sys.executable,
        '-m',
        'mkdocs',
        'build',
        '--strict',
        '--quiet',
        '-d',
        tmp_path / 'site',
    ]
    done = subprocess.run(
        command,
        cwd=REPO,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'site/tutorials/first-run.html').is_file()


def test_every_page_is_in_the_navigation():
    """Decisions have a page of their own that lists them."""
    navigation = (REPO / 'mkdocs.yml').read_text()
    decisions = (REPO / 'docs/background/decisions/index.md').read_text()
    for page in (REPO / 'docs').rglob('*.md'):
        listed = page.name in decisions or str(page.relative_to(REPO / 'docs')) in navigation
        assert listed, page
