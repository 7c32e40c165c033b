"""The report of a run in a real browser, where there is one."""

import pytest

from rein_seg.pages.run_report import report_page
from tests.compare.browser import ask, needs_browser
from tests.pages.run_results import report, results

pytestmark = [needs_browser, pytest.mark.slow]
SECTIONS = (
    "return [...document.querySelectorAll('main > section[id]')].filter((s) => !s.hidden)"
    '.map((s) => s.id)'
)
WIDE = 'return [document.documentElement.scrollWidth, innerWidth]'
TEXT = "return document.querySelector('{}').textContent"


def test_all_sections_are_drawn_and_a_phone_need_not_scroll_sideways(tmp_path):
    page = report_page(results(), report())
    shown = ask(tmp_path, page, SECTIONS)
    assert shown == [
        'scores', 'curves', 'classes', 'confusions', 'calibration', 'images', 'costs', 'again',
    ]  # fmt: skip
    wide, width = ask(tmp_path, page, WIDE, width=390)
    assert wide <= width == 390


def test_numbers_of_the_page(tmp_path):
    page = report_page(results(), report())
    facts = ask(tmp_path, page, TEXT.format('#facts'))
    assert 'mIoU over targets40.00 %' in facts
    table = ask(
        tmp_path, page,
        "return [...document.querySelectorAll('#scores tbody tr')].map((tr) => "
        "[...tr.children].map((cell) => cell.textContent))",
    )  # fmt: skip
    assert table[0] == ['day', 'source', '4', '60.00', '80.00', '7.00']
    assert table[-1] == ['mean over targets', 'mean', '4', '40.00', '65.00', '–']
    words = ask(tmp_path, page, TEXT.format('#confusions .worst'))
    assert '5.0 % of the pixels of car are taken for road (5 pixels)' in words
    # the worst target comes first
    assert ask(tmp_path, page, "return document.querySelector('#pick-images').value") == 'rain'


@pytest.mark.parametrize('dark', [False, True])
def test_a_run_of_an_earlier_version_says_what_is_missing(tmp_path, dark):
    page = report_page(results(changed=['crop 256']), {})
    assert ask(tmp_path, page, SECTIONS, dark=dark) == [
        'scores', 'curves', 'classes', 'costs', 'again',
    ]  # fmt: skip
    notes = ask(tmp_path, page, TEXT.format('#notes'))
    assert 'crop 256' in notes and 'earlier version' in notes
    assert 'the log of the training is not in this folder' in ask(
        tmp_path, page, TEXT.format('#curves .about')
    )


def test_one_domain_of_a_binary_task_without_validation(tmp_path):
    scores = dict(images=3, S=90.0, MAE=0.031, mIoU=70.0, IoU={'background': 90.0, 'polyp': 50.0})
    mean = {'S': 90.0, 'MAE': 0.031, 'mIoU': 70.0}
    own = results(
        domains={'kvasir': scores}, targets=['kvasir'], source=None, mean_over_targets=mean,
        fractions=['MAE'],
    )  # fmt: skip
    made = report(('kvasir',), ('background', 'polyp'), over_targets=None)
    made['curves']['validation'] = {}
    page = report_page(own, made)
    table = ask(tmp_path, page, TEXT.format('#scores tbody'))
    assert table == 'kvasirtarget390.000.031070.007.00mean over targetsmean390.000.031070.00–'
    about = ask(tmp_path, page, TEXT.format('#curves .about'))
    assert about == 'No curves here: the training had no validation.'


def test_a_matrix_of_many_classes_is_cut_and_says_so(tmp_path):
    page = report_page(results(), report(classes=[f'c{i}' for i in range(150)]))
    about = ask(tmp_path, page, TEXT.format('#confusions .about'), width=390)
    assert 'The 30 classes with most pixels of 150.' in about
