"""Every code block of the tutorials runs."""

import pytest

from tests.docs.tutorial import TUTORIALS, run_page

PAGES = sorted(path.name for path in TUTORIALS.glob('*-*.md'))
OWN_PARTS = ['your-encoder.md', 'your-head.md', 'your-method.md']


@pytest.mark.tutorial
@pytest.mark.parametrize('page', PAGES)
def test_page(page, tmp_path):
    run_page(page, tmp_path)


@pytest.mark.parametrize('page', OWN_PARTS)
def test_parts_of_ones_own_are_accepted(page, tmp_path):
    """The same pages without training, in seconds."""
    run_page(page, tmp_path, commands=False)
