"""Every code block of the tutorials runs."""

import pytest

from tests.docs.tutorial import TUTORIALS, run_page

PAGES = sorted(path.name for path in TUTORIALS.glob('*-*.md'))


@pytest.mark.tutorial
@pytest.mark.parametrize('page', PAGES)
def test_page(page, tmp_path):
    run_page(page, tmp_path)
