"""The page in a real browser: what a reader sees, at a desk and on a phone."""

from dataclasses import replace

import pytest

from rein_seg.compare import build_comparison
from rein_seg.compare.page import page
from tests.compare.browser import ask, needs_browser
from tests.compare.made import binary_results, make_results, make_run

pytestmark = [needs_browser, pytest.mark.slow]
NAMES = {'Frozen': (0, 9.0), 'Full': (5_474_112, 14.0), 'LoRA': (1000, 12.0), 'Rein': (3000, 13.0)}
INFERENCE = dict(size=[128, 256], ms_per_image=20.0, encoder_ratio=1.25)
MERGED = dict(ms_per_image_merged=16.0, encoder_ratio_merged=1.0, not_mergeable=None)
NOT = dict(not_mergeable='Rein cannot be merged: its softmax')
TABLES = """
const all = (selector) => [...document.querySelectorAll(selector)];
const texts = (row) => [...row.children].map((cell) => cell.textContent.trim());
const table = (id) => all(`#${id} tbody tr`).map(texts);
const column = (id, i) => table(id).map((row) => row[i]);
const order = (id) => column(id, 0);
"""


def runs():
    for name, (parameters, score) in NAMES.items():
        counts = dict(method=parameters, neck_and_head=234, trainable=parameters + 234, frozen=9)
        for seed in (0, 1):
            yield make_run(
                name,
                seed,
                make_results(
                    20.0 + seed, score + 2 * seed, score, method=name, parameters=counts,
                    inference={**INFERENCE, **(NOT if name == 'Rein' else MERGED)},
                ),
            )  # fmt: skip
    yield replace(make_run('SVF'), results=None, state='failed', error='exit code 1: no </good>')


@pytest.fixture(scope='module')
def text():
    return page(build_comparison(list(runs()), command='rein-seg compare x.py'))


def test_what_is_there(text, tmp_path):
    found = ask(
        tmp_path,
        text,
        TABLES
        + """return {
          notes: all('.note.failed').map((p) => p.textContent),
          figures: all('.chart svg').map((chart) => chart.getAttribute('aria-label')),
          marks: all('#parameters [data-variant] text').length,
          ticks: all('#parameters .tick').map((tick) => tick.textContent),
          bars: all('#bars [data-variant] rect').length,
          scores: table('scores'), costs: table('costs'), classes: table('classes'),
          runs: order('runs'),
          best: all('#scores td.best').map((cell) => cell.textContent),
          footnotes: document.querySelector('.footnotes').textContent,
          command: document.querySelector('#again pre').textContent,
          facts: document.querySelector('#facts').textContent,
        };""",
    )
    assert found['notes'] == ['Failed: SVF, seed 0 failed: exit code 1: no </good>.']
    assert found['figures'] == [
        'Mean target mIoU against trained parameters', 'Source against mean target mIoU',
        'mIoU by domain',
    ]  # fmt: skip
    assert found['marks'] == len(NAMES)
    assert {'0', '1k', '1M'} <= set(found['ticks'])
    assert found['bars'] == len(NAMES) * 4  # three domains and the mean over targets
    # variant, runs, method, targets, source, gap
    assert found['scores'][2][:6] == [
        'LoRA', '2/2', '1,000', '12.50 ± 0.71', '20.50 ± 0.71', '8.00 ± 0.00',
    ]  # fmt: skip
    assert found['scores'][4][:4] == ['SVF', '0/1 ✗', '–', '–']
    # seed 1 has 2 more at night and nothing more in fog; of equal means none is best
    assert found['best'] == ['14.50 ± 0.71', '15.00 ± 1.41', '14.00 ± 0.00']
    assert found['costs'][2][-4:] == ['20.0', '16.0', '1.25×', '1.00×']
    assert found['costs'][3][-4:] == ['20.0', 'not mergeable', '1.25×', 'not mergeable']
    assert found['footnotes'] == 'Rein: Rein cannot be merged: its softmax'
    assert found['classes'][0] == ['road', '9.5', '14.5', '12.5', '13.5']
    assert found['classes'][1][0] == 'sky'
    assert found['classes'][1][1] == '–'
    assert len(found['runs']) == 9
    assert found['command'] == 'rein-seg compare x.py'
    assert 'miniscapes-256x128' in found['facts']


@pytest.mark.parametrize(
    ('address', 'names'),
    [
        ('sort=targets:desc', ['Full', 'Rein', 'LoRA', 'Frozen', 'SVF']),
        ('sort=targets:asc', ['Frozen', 'LoRA', 'Rein', 'Full', 'SVF']),
        ('sort=domain.night:desc&hide=Full', ['Full', 'Rein', 'LoRA', 'Frozen', 'SVF']),
        ('sort=nonsense:desc&metric=none&domain=x&minus=y', [*NAMES, 'SVF']),
    ],
)
def test_the_address_says_the_order(text, tmp_path, address, names):
    script = """return [order('scores'), all('#scores [aria-sort]').map(
      (th) => [th.dataset.key, th.getAttribute('aria-sort')])];"""
    found, sorts = ask(tmp_path, text, TABLES + script, address=address)
    assert found == names
    key, way = address.split('&')[0].removeprefix('sort=').split(':')
    wanted = [[key, {'asc': 'ascending', 'desc': 'descending'}[way]]]
    assert sorts == ([] if key == 'nonsense' else wanted)


def test_clicks_sort_and_stay(text, tmp_path):
    script = """
    const press = (id, key) => all(`#${id} th`).find(
      (th) => th.dataset.key === key).querySelector('button').click();
    const seen = [];
    for (let i = 0; i < 3; i += 1) {
      press('scores', 'targets');
      seen.push([order('scores').join(' '), location.hash, document.activeElement.textContent]);
    }
    press('costs', 'variant');
    press('classes', 'variant.Full');
    const button = document.querySelector('#scores th button');
    return { seen, costs: order('costs'), classes: order('classes'), hash: location.hash,
             tab: button.tabIndex };
    """
    found = ask(tmp_path, text, TABLES + script)
    assert found['seen'] == [
        ['Full Rein LoRA Frozen SVF', '#sort=targets%3Adesc', 'targets'],
        ['Frozen LoRA Rein Full SVF', '#sort=targets%3Aasc', 'targets'],
        ['Frozen Full LoRA Rein SVF', '', 'targets'],
    ]
    assert found['costs'] == ['Frozen', 'Full', 'LoRA', 'Rein', 'SVF']
    assert found['classes'] == ['road', 'sky']
    assert 'classes=variant.Full%3Adesc' in found['hash']
    assert found['tab'] == 0


def test_choices(text, tmp_path):
    script = """
    const choose = (id, value) => {
      const select = document.getElementById(id);
      select.value = value;
      select.dispatchEvent(new Event('change'));
    };
    choose('pick-metric', 'aAcc');
    choose('pick-domain', 'night');
    choose('pick-minus', 'Frozen');
    document.querySelector('[data-legend="Full"]').click();
    return { scores: column('scores', 3), classes: table('classes')[0], hash: location.hash,
             marks: all('#parameters [data-variant]').map((g) => g.dataset.variant) };
    """
    found = ask(tmp_path, text, TABLES + script)
    assert found['scores'][1] == '64.50 ± 0.71'
    assert found['classes'] == ['road', '0.0', '+5.0', '+3.0', '+4.0']
    assert found['marks'] == ['Frozen', 'LoRA', 'Rein']
    assert found['hash'] == '#metric=aAcc&domain=night&minus=Frozen&hide=Full'


def test_a_phone_scrolls_tables_and_nothing_else(text, tmp_path):
    script = """
    document.getElementById('runs').open = true;
    const root = document.documentElement;
    return {
      width: innerWidth, page: root.scrollWidth,
      tables: all('.scroll').map((box) => box.clientWidth),
      charts: all('.chart svg').map((box) => box.getBoundingClientRect().right),
      wide: document.querySelector('#scores .scroll').scrollWidth,
      names: all('#bars [data-variant] text').length,
      smallest: Math.min(...all('svg text').map((t) => parseFloat(getComputedStyle(t).fontSize))),
    };
    """
    found = ask(tmp_path, text, TABLES + script, width=375)
    assert found['width'] == 375
    assert found['page'] <= 375
    assert found['wide'] > 375
    assert max(found['tables'] + found['charts']) <= 375
    assert found['names'] == len(NAMES) * 4  # bars lie, their names beside them
    assert found['smallest'] >= 11


def test_labels_keep_clear_of_one_another(text, tmp_path):
    script = """
    return [...document.querySelectorAll('.pair svg')].map((chart) => {
      const labels = [...chart.querySelectorAll('[data-variant] text')];
      const boxes = labels.map((label) => label.getBoundingClientRect());
      let worst = 0;
      boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
        const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        worst = Math.max(worst, Math.max(0, w) * Math.max(0, h));
      }));
      return worst;
    });
    """
    assert max(ask(tmp_path, text, script, width=375)) < 40  # square pixels


def test_dark_colours_are_legible(text, tmp_path):
    script = """
    const style = getComputedStyle(document.body);
    return [style.backgroundColor, style.color].map((c) => c.match(/\\d+/g).map(Number));
    """
    light, dark = (ask(tmp_path, text, script, dark=dark) for dark in (False, True))
    assert min(light[0]) > 200 > 60 > max(light[1])
    assert max(dark[0]) < 60 < 200 < min(dark[1])


def test_scores_where_less_is_better(tmp_path):
    nasty = '<b>&'
    runs = [
        make_run(name, seed, binary_results(mae=0.02 + i / 100, target_mae=0.05 + i / 100))
        for i, name in enumerate([nasty, 'LoRA'])
        for seed in (0, 1)
    ]
    script = """return { scores: table('scores'),
      caption: document.querySelector('#parameters figcaption').textContent,
      classes: document.querySelector('#classes').hidden };"""
    found = ask(
        tmp_path,
        page(build_comparison(runs, ['MAE', 'Dice_image'])),
        TABLES + script,
        address='sort=targets:asc',
    )
    assert [row[0] for row in found['scores']] == [nasty, 'LoRA']
    assert found['scores'][0][3:6] == ['0.0500 ± 0.0000', '0.0200 ± 0.0000', '0.0300 ± 0.0000']
    assert 'Better: down and to the left' in found['caption']
    assert found['classes']


def test_nothing_finished_yet(tmp_path):
    run = replace(make_run(), results=None, state='running', path=None)
    script = """return { runs: order('runs'), notes: document.querySelector('#notes').textContent,
      hidden: ['figures', 'scores', 'costs', 'classes'].map((id) =>
        document.getElementById(id).hidden) };"""
    found = ask(tmp_path, page(build_comparison([run])), TABLES + script)
    assert found['runs'] == ['LoRA, seed 0']
    assert found['notes'] == 'Note: 1 of 1 runs are not finished.'
    assert all(found['hidden'])


def test_unseen_classes_are_marked(tmp_path):
    table = build_comparison([make_run(results=make_results(unseen=['sky']))])
    found = ask(tmp_path, page(table), TABLES + "return column('classes', 0);")
    assert found == ['road', 'sky (unseen)']
