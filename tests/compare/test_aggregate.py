"""Aggregation: exact values of results made by hand."""

import csv
import io
import json

import pytest

from rein_seg.compare import WRITERS, build_comparison, text_tables, write_comparison
from rein_seg.compare.aggregate import (
    choose_metrics,
    class_statistics,
    known_metrics,
    scores_of,
    statistic,
)
from rein_seg.compare.notes import notes
from rein_seg.compare.tables import cost_table, file_size, score_table
from rein_seg.errors import UserError
from tests.compare.made import CODE, binary_results, comparison, make_results, make_run, unfinished


def test_statistic():
    assert statistic([10.0, 12.0, 14.0]) == {'mean': 12.0, 'std': 2.0, 'n': 3}
    assert statistic([10.0]) == {'mean': 10.0, 'std': None, 'n': 1}
    assert statistic([10.0, None, 14.0]) == {'mean': 12.0, 'std': 8**0.5, 'n': 2}
    assert statistic([]) == statistic([None]) | {'n': 0} == {'mean': None, 'std': None, 'n': 0}


def test_scores_of_one_run():
    assert scores_of(make_results(source=20.0, night=10.0, fog=13.0), 'mIoU') == {
        'source': 20.0,
        'mean_over_targets': 11.5,
        'gap': 8.5,
        'domains': {'clear': 20.0, 'night': 10.0, 'fog': 13.0},
    }


def test_the_mean_that_the_report_gives_is_taken():
    results = make_results(mean_over_targets={'mIoU': 11.0})
    assert scores_of(results, 'mIoU')['mean_over_targets'] == 11.0
    assert scores_of(results, 'aAcc')['mean_over_targets'] == 61.0


def test_what_is_not_there_has_no_mean_and_no_gap():
    assert scores_of(make_results(fog=None), 'mIoU')['mean_over_targets'] is None
    no_source = scores_of(make_results(source=None), 'mIoU')
    assert (no_source['source'], no_source['gap']) == (None, None)
    only_source = scores_of(make_results(targets=[]), 'mIoU')
    assert (only_source['mean_over_targets'], only_source['gap']) == (None, None)


def test_gap_of_an_error_is_what_is_lost_too():
    assert scores_of(binary_results(), 'MAE')['gap'] == pytest.approx(0.03)
    table = build_comparison([make_run(results=binary_results())], ['MAE'])
    assert table['metrics']['MAE'] == {'better': 'lower', 'unit': '0..1'}
    assert table['metrics']['S'] == {'better': 'higher', 'unit': '%'}
    assert build_comparison([make_run(results=binary_results())])['shown'] == ['Dice_image']
    assert 'MAE in 0..1 (lower is better)' in text_tables(table)
    assert score_table(table, 'MAE')[1][0][4:7] == ('0.0200', '0.0500', '0.0300')


def test_scores_of_seen_and_unseen_classes_are_shown():
    results = make_results(source=20.0, night=10.0, fog=12.0)
    for scores in results['domains'].values():
        mean = scores['mIoU']
        scores |= {'hIoU': mean / 2, 'S': mean + 5, 'U': mean - 5, 'pAcc': scores.pop('aAcc')}
    results['unseen'] = ['sky']
    table = build_comparison([make_run(results=results)])
    assert table['unseen'] == ['sky']
    other = make_run(results={**results, 'unseen': ['road']})
    with pytest.raises(UserError, match=r"has unseen \['road'\].* has \['sky'\]"):
        build_comparison([make_run(results=results), other])
    assert table['shown'] == ['hIoU', 'S', 'U']
    assert set(table['metrics']) == {'hIoU', 'S', 'U', 'pAcc', 'mIoU'}
    assert table['metrics']['U'] == {'better': 'higher', 'unit': '%'}
    # source, targets, gap, night, fog
    assert score_table(table, 'U')[1][0][4:9] == ('15.00', '6.00', '9.00', '5.00', '7.00')
    assert [f'{name} in %' in text_tables(table) for name in ('hIoU', 'S', 'U')] == [True] * 3


def test_metrics_are_the_scores_that_all_domains_have():
    results = make_results()
    assert known_metrics([results]) == ['mIoU', 'aAcc']
    del results['domains']['fog']['aAcc']
    assert known_metrics([make_results(), results]) == ['mIoU']
    assert known_metrics([]) == []


def test_default_metric():
    assert choose_metrics(['mIoU', 'aAcc'], []) == ['mIoU']
    assert choose_metrics(['S', 'Dice_image', 'mIoU'], []) == ['Dice_image']
    assert choose_metrics(['hIoU', 'S', 'U', 'pAcc', 'mIoU'], []) == ['hIoU', 'S', 'U']
    assert choose_metrics(['mIoU', 'aAcc'], ['aAcc', 'mIoU', 'aAcc']) == ['aAcc', 'mIoU']
    with pytest.raises(UserError, match='--metric Dice: .* they have mIoU, aAcc'):
        choose_metrics(['mIoU', 'aAcc'], ['Dice'])


def test_aggregate_over_seeds():
    found = comparison()
    lora, frozen = found['variants']
    assert found['targets'] == ['night', 'fog']
    assert found['shown'] == ['mIoU']
    scores = lora['scores']['mIoU']
    assert scores['source'] == {'mean': 22.0, 'std': 2.0, 'n': 3}
    assert scores['mean_over_targets'] == {'mean': 12.0, 'std': 1.0, 'n': 3}
    assert scores['gap'] == {'mean': 10.0, 'std': 1.0, 'n': 3}
    assert scores['domains']['fog'] == {'mean': 13.0, 'std': 1.0, 'n': 3}
    assert lora['scores']['aAcc']['source']['mean'] == 72.0
    assert lora['costs']['peak_memory_mib'] == {'mean': 1000.0, 'std': 0.0, 'n': 3}
    assert lora['costs']['wall_seconds']['mean'] == 120.0
    assert (lora['runs'], lora['finished'], lora['failed'], lora['seeds']) == (3, 3, 0, [0, 1, 2])
    assert (frozen['runs'], frozen['finished'], frozen['failed']) == (3, 1, 1)
    assert frozen['scores']['mIoU']['source'] == {'mean': 18.0, 'std': None, 'n': 1}
    assert frozen['method'] == {'type': 'Frozen'}


def test_classes_are_aggregated():
    runs = [make_results(20.0), make_results(24.0)]
    by_class = class_statistics(runs)['IoU']['clear']
    assert by_class['road'] == {'mean': 22.0, 'std': 8**0.5, 'n': 2}
    assert by_class['sky'] == {'mean': None, 'std': None, 'n': 0}


def test_classes_of_volumes_are_aggregated():
    runs = [make_results(20.0), make_results(24.0)]
    for run, dice in zip(runs, (60.0, 70.0), strict=True):
        run['domains']['clear'] |= {
            'of_classes': {'Dice': {'liver': dice, 'aorta': None}, 'HD95': {'liver': 3.0}},
            'presence': {'in both': 4},
        }
    found = class_statistics(runs)
    assert found.keys() == {'IoU', 'Dice', 'HD95'}
    assert found['Dice']['clear']['liver'] == {'mean': 65.0, 'std': 50**0.5, 'n': 2}
    assert found['Dice']['clear']['aorta'] == {'mean': None, 'std': None, 'n': 0}
    assert found['HD95']['clear']['liver']['mean'] == 3.0


def test_every_run_is_listed():
    runs = comparison()['runs']
    assert [run['state'] for run in runs] == ['finished'] * 4 + ['failed', 'waiting']
    assert runs[1]['results'] == 'LoRA/seed_1/results.json'
    assert runs[1]['scores']['mIoU']['mean_over_targets'] == 12.0
    assert runs[4]['error'] == 'exit code 3: no good'
    assert 'scores' not in runs[5]


def test_nothing_finished_yet():
    empty = build_comparison([unfinished(0, 'running')], ['Dice'])
    assert empty['benchmark'] is None
    assert empty['variants'][0]['scores'] == {}
    for writer in (text_tables, *WRITERS.values()):
        assert 'Frozen' in writer(empty)


def test_scores_of_other_benchmarks_are_refused():
    other = make_run('Rein', 1, make_results(targets=['fog']))
    with pytest.raises(UserError, match=r"Rein, seed 1 has targets \['fog'\], LoRA, seed 0 has"):
        build_comparison([make_run(), other])


def test_notes_say_what_is_not_alike():
    assert notes([make_run(), make_run(seed=1)]) == []
    old = {'code': {**CODE, 'torch': '2.6.0'}, 'jobs': 2}
    gpu = make_results(iterations=640, environment={'gpu': 'NVIDIA H100'})
    found = '\n'.join(notes([make_run(), make_run('Rein', 0, gpu, sessions=(old,))]))
    assert 'LoRA 320, Rein 640' in found
    assert 'different versions' in found
    assert 'NVIDIA H100; x86_64, 2 threads' in found
    assert '--jobs' in found
    stopped = make_results(iterations=280, selected={'iteration': 240})
    assert notes([make_run(), make_run('Rein', 0, stopped)]) == []


def test_notes_say_what_was_changed_in_the_protocol():
    changed = make_results(changed=['batch 2 instead of 4'])
    assert notes([make_run(results=changed)]) == [
        'what was changed in the protocol: batch 2 instead of 4'
    ]
    assert notes([make_run(), make_run('Rein', 0, changed)]) == [
        'what was changed in the protocol: LoRA: nothing, Rein: batch 2 instead of 4'
    ]


def test_text():
    head, rows = score_table(comparison(), 'mIoU')
    assert head == (
        'variant', 'runs', 'method', 'head', 'source', 'targets', 'gap', 'night', 'fog',
    )  # fmt: skip
    assert rows[0] == (
        'LoRA', '3/3', '1,000', '234', '22.00±2.00', '12.00±1.00', '10.00±1.00', '11.00±1.00',
        '13.00±1.00',
    )  # fmt: skip
    assert rows[1][:2] == ('Frozen', '1/3, 1 failed')
    assert rows[1][4:] == ('18.00', '8.50', '9.50', '9.00', '8.00')
    assert cost_table(comparison())[1][0][4:8] == ('0.500', '2.0', '1000', '2.0 KiB')
    text = text_tables(comparison())
    assert 'Note: Frozen, seed 1 failed: exit code 3: no good.' in text
    assert 'Note: 1 of 6 runs are not finished.' in text


def test_files(tmp_path):
    found = comparison()
    write_comparison(tmp_path, found)
    names = [f'comparison.{suffix}' for suffix in ('csv', 'html', 'json', 'md', 'png')]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert json.loads((tmp_path / 'comparison.json').read_text()) == found
    lines = (tmp_path / 'comparison.md').read_text().splitlines()
    row = '| LoRA | 3/3 | 1,000 | 234 | 22.00±2.00 | 12.00±1.00 | 10.00±1.00 | 11.00±1.00 |'
    assert any(line.startswith(row) for line in lines)
    first, second = csv.DictReader(io.StringIO((tmp_path / 'comparison.csv').read_text()))
    assert float(first['mIoU mean_over_targets']) == 12.0
    assert float(first['mIoU fog std']) == 1.0
    assert float(first['seconds_per_iteration']) == 0.5
    assert second['mIoU source std'] == ''


def test_inference_cost():
    timed = dict(size=[128, 256], ms_per_image=20.0, encoder_ratio=1.25)
    merged = dict(ms_per_image_merged=16.0, encoder_ratio_merged=1.0, not_mergeable=None)
    whole = make_results(inference={**timed, **merged})
    slower = make_results(inference={**timed, **merged, 'ms_per_image': 24.0})
    rein = make_results(inference={**timed, 'not_mergeable': 'its softmax'})
    found = build_comparison([make_run('LoRA', 0, whole), make_run('LoRA', 1, slower)])
    (lora,) = found['variants']
    assert lora['costs']['inference_ms'] == {'mean': 22.0, 'std': 8**0.5, 'n': 2}
    assert lora['costs']['encoder_ratio_merged'] == {'mean': 1.0, 'std': 0.0, 'n': 2}
    assert (lora['inference_size'], lora['not_mergeable']) == ([128, 256], None)
    assert found['runs'][1]['inference_ms'] == 24.0
    assert cost_table(found)[1][0][8:] == ('22.0', '16.0', '1.25x', '1.00x')
    found = build_comparison([make_run('Rein', 0, rein), make_run('old', 0)])
    table = cost_table(found)[1]
    assert table[0][8:] == ('20.0', 'no', '1.25x', 'no')
    assert table[1][8:] == ('-', '-', '-', '-')  # made before it was measured
    (line, _) = csv.DictReader(io.StringIO(WRITERS['comparison.csv'](found)))
    assert line['not mergeable'] == 'its softmax'
    assert (line['inference_ms'], line['inference_ms_merged']) == ('20.0', '')


@pytest.mark.parametrize(
    ('count', 'text'),
    [(None, '-'), (12, '12 B'), (2048, '2.0 KiB'), (3 * 2**20, '3.0 MiB'), (2**31, '2.00 GiB')],
)
def test_file_size(count, text):
    assert file_size(count) == text
