"""The page, without a browser: what is in the file."""

import json
import re
from dataclasses import replace

import pytest

from rein_seg.compare import build_comparison
from rein_seg.compare.page import SCRIPTS, page
from rein_seg.pages.page import SCRIPTS as SHARED
from rein_seg.pages.page import embed
from tests.compare.made import comparison, data_of, make_results, make_run
from tests.pages.reader import NASTY, read


def test_elements_nest_and_data_comes_back():
    found = comparison()
    text = page(found)
    reader = read(text)
    assert text.startswith('<!DOCTYPE html>')
    assert data_of(text) == json.loads(json.dumps(found))
    assert [tag for tag, _ in reader.texts] == ['title', 'script', 'script']
    metas = [attrs for tag, attrs in reader.elements if tag == 'meta']
    assert {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'} in metas
    assert '[[' not in re.sub(r'<script.*?</script>', '', text, flags=re.S)


def test_nothing_is_loaded():
    text = page(comparison())
    for tag, attrs in read(text).elements:
        assert tag not in ('img', 'iframe', 'object')
        assert 'src' not in attrs
        assert attrs.get('href', 'data:,') == 'data:,'
    assert set(re.findall(r'\w+://[^\s\'"]+', text)) == {'http://www.w3.org/2000/svg'}
    assert not re.search(r'@import|url\(|fetch\(|XMLHttpRequest|import\(', text)
    assert "default-src 'none'" in text


def test_no_name_is_read_as_markup():
    results = make_results(benchmark=NASTY, protocol=NASTY, method={'type': NASTY})
    failed = replace(make_run(NASTY), results=None, state='failed', error=NASTY)
    found = build_comparison([make_run(NASTY, 1, results), failed], command=NASTY)
    text = page(found)
    assert len(read(text).texts) == len(read(page(comparison())).texts)
    assert text.count('<script') == 2
    assert data_of(text) == json.loads(json.dumps(found))


def test_scripts_make_elements_and_never_parse_markup():
    text = page(comparison())
    assert not re.search(r'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(', text)


def test_data_without_numbers_that_json_lacks():
    value = {'a': [float('nan'), float('inf'), 1.5, (None, -float('inf'))], 'b': '<&>\u2028'}
    text = embed(value)
    assert json.loads(text) == {'a': [None, None, 1.5, [None, None]], 'b': '<&>\u2028'}
    assert not re.search('[<>&\u2028]', text)


@pytest.mark.parametrize('state', ['waiting', 'failed'])
def test_a_comparison_without_results(state):
    run = replace(make_run(), results=None, state=state, error='no', path=None)
    text = page(build_comparison([run]))
    assert '<title>Comparison: methods compared</title>' in text
    read(text)


def test_every_script_is_used(repo):
    for package, scripts in (('compare', SCRIPTS), ('pages', SHARED)):
        folder = repo / f'rein_seg/{package}/template'
        assert sorted(scripts) == sorted(path.name for path in folder.glob('*.js'))
        shipped = f'"rein_seg.{package}" = ["template/*"]'
        assert shipped in (repo / 'pyproject.toml').read_text()
