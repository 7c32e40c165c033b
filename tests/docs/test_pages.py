"""The generated pages are current, and say what every key is."""

import re

import pytest

from rein_seg.apis import load_config
from tests.docs import config_page
from tests.docs.pages import PAGES
from tests.paths import REPO

# what config files call their own helpers; no setting
HELPERS = {
    *('corruptions', 'decode_head', 'eight', 'encoder', 'images', 'lr', 'methods', 'neck', 'rates'),
    *('scratch', 'slower', 'source', 'source_val', 'square', 'start', 'target', 'targets'),
    *('test_pipeline', 'train_pipeline'),
}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.DOCUMENT.stem)
def test_page_is_current(page):
    assert page.DOCUMENT.read_text() == page.document(), 'run make support, look at it'


def test_every_key_of_a_config_is_explained():
    keys = {key for path in (REPO / 'configs').glob('*.py') for key in load_config(str(path))}
    assert keys - HELPERS <= set(config_page.KEYS)


def test_arguments_are_explained():
    rows = re.findall(r'^\| `\w+` \|.*\| *(.*) \|$', config_page.document(), re.M)
    assert sum(not meaning for meaning in rows) < len(rows) / 5
