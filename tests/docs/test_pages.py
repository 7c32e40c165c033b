"""The generated pages are current, and say what every key is."""

import re

import pytest

from rein_seg.config.schema.keys import KEYS
from tests.docs import config_page
from tests.docs.pages import PAGES


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.DOCUMENT.stem)
def test_page_is_current(page):
    assert page.DOCUMENT.read_text() == page.document(), 'run make support, look at it'


def test_every_word_of_a_config_is_explained():
    assert set(config_page.KEYS) == set(KEYS)


def test_arguments_are_explained():
    rows = re.findall(r'^\| `\w+` \|.*\| *(.*) \|$', config_page.document(), re.M)
    assert sum(not meaning for meaning in rows) < len(rows) / 5
