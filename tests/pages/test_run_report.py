"""The report of a run as a page, without a browser: what is in the file."""

import json
import re

import pytest

from rein_seg.pages.run_report import report_page
from rein_seg.pages.run_report.page import SCRIPTS, title_of
from tests.pages.reader import NASTY, read
from tests.pages.run_results import report, results


def data_of(text):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


def test_data_comes_back_and_elements_nest():
    text = report_page(results(protocols={'a': 1}), report())
    read(text)
    data = data_of(text)
    assert data['results'] == json.loads(json.dumps(results()))
    assert data['report'] == json.loads(json.dumps(report()))


def test_nothing_is_loaded_from_elsewhere():
    text = report_page(results(), report())
    for tag, attrs in read(text).elements:
        assert tag not in ('iframe', 'object')
        assert 'src' not in attrs
        assert attrs.get('href', 'data:,') == 'data:,'
    assert set(re.findall(r'\w+://[^\s\'"]+', text)) == {'http://www.w3.org/2000/svg'}
    assert not re.search(r'@import|url\(|fetch\(|XMLHttpRequest|import\(', text)
    assert "default-src 'none'" in text
    assert not re.search(r'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(', text)


def test_no_name_is_read_as_markup():
    nasty = results(config=NASTY, protocol=NASTY, command=NASTY, method={'type': NASTY})
    text = report_page(nasty, report(classes=[NASTY, 'b', 'c']))
    assert len(read(text).texts) == len(read(report_page(results(), report())).texts)
    assert text.count('<script') == 2
    assert data_of(text)['results'] == json.loads(json.dumps(nasty))


def test_every_script_is_used_and_shipped(repo):
    folder = repo / 'rein_seg/pages/run_report/template'
    assert sorted(SCRIPTS) == sorted(path.name for path in folder.glob('*.js'))
    shipped = '"rein_seg.pages.run_report" = ["template/*"]'
    assert shipped in (repo / 'pyproject.toml').read_text()


@pytest.mark.parametrize(
    ('config', 'method', 'title'),
    [('a.py', 'LoRA', 'a: LoRA'), (None, None, 'run'), ('a.py', None, 'a')],
)
def test_a_run_is_named_by_config_and_method(config, method, title):
    assert title_of({'config': config, 'method': method and {'type': method}}) == title
