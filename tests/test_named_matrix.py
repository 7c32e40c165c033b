"""The page's rows of named models are what trying every method on them finds."""

import re

import pytest

from tests import matrix, named_matrix
from tests.named_models import NAMED

QUICK = {  # of each kind of model: methods that work, that merge, and that are refused
    'mobilenetv4_conv_small_035': ('ConvAdapter', 'LoRA', 'VPT'),
    'beitv2_base_patch16_224': ('VPT', 'SSF', 'CAVPT'),
    'aimv2_large_patch14_224': ('SSF',),  # its norms cannot hold what merging would leave
}


@pytest.fixture(scope='module')
def page():
    return named_matrix.read(matrix.DOCUMENT.read_text())


@pytest.mark.parametrize('name', QUICK)
def test_some_pairs_are_what_the_page_says(name, page):
    found = named_matrix.row(name, QUICK[name])
    assert found == {method: page[name][method] for method in QUICK[name]}


@pytest.mark.whole_matrix
@pytest.mark.parametrize('name', NAMED)
def test_every_pair_is_what_the_page_says(name, page):
    assert named_matrix.row(name) == page[name], f'run {matrix.COMMAND}, look at it'


def test_the_page_has_every_pair_and_counts_them(page):
    assert list(page) == list(NAMED)
    assert all(list(row) == matrix.methods() for row in page.values())
    answers = [cell.answer for row in page.values() for cell in row.values()]
    text = matrix.DOCUMENT.read_text()
    (counts,) = re.findall(r'\*\*(\d+) pairs were tried, (\d+) work, and (\d+) of these', text)
    works = len(answers) - answers.count(named_matrix.REFUSED)
    assert [int(n) for n in counts] == [len(answers), works, answers.count(named_matrix.MERGES)]


def test_a_refusal_has_a_message(page):
    for row in page.values():
        for cell in row.values():
            explained = cell.answer in (named_matrix.REFUSED, named_matrix.OPTIONS)
            assert explained == bool(cell.reason)
