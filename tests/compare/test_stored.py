"""Results of earlier runs side by side, from real files."""

import json
from pathlib import Path

import pytest

from rein_seg.apis import load_config
from rein_seg.compare import show_results
from rein_seg.compare.stored import stored_runs
from rein_seg.encoders import build_encoder
from rein_seg.errors import UserError
from tests.compare.made import make_results


def write(folder, **given):
    folder.mkdir()
    (folder / 'results.json').write_text(json.dumps(make_results(**given)))
    return folder


def test_runs_are_shown_with_what_trained_them(tmp_path):
    rein = write(tmp_path / 'a', method='Rein', seed=0, config='rein.py')
    full = write(tmp_path / 'b', method='Full', seed=0, source=30.0, night=8.0, config='full.py')
    text = show_results([rein, full / 'results.json'])
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert rows['Rein'][4:] == ['20.00', '11.00', '9.00', '10.00', '12.00']
    assert rows['Full'][4:] == ['30.00', '10.00', '20.00', '8.00', '12.00']
    assert text.endswith('Rein: rein-seg train rein.py\nFull: rein-seg train full.py')


def test_seeds_of_one_method_are_one_row(tmp_path):
    runs = [write(tmp_path / str(s), seed=s, source=20.0 + 2 * s) for s in (0, 1)]
    assert ' 21.00±1.41 ' in show_results(runs)


def test_a_list_of_methods_has_a_name_and_changes_are_noted(tmp_path):
    both = [{'type': 'LoRA'}, {'type': 'BitFit'}]
    run = write(tmp_path / 'a', seed=0) / 'results.json'
    run.write_text(json.dumps(make_results() | dict(method=both, seed=0, changed=['max_iters 8'])))
    assert stored_runs([run])[0].variant == 'LoRA+BitFit'
    assert 'Note: what was changed in the protocol: max_iters 8.' in show_results([run])


def test_the_demo_stands_beside_results_of_the_encoder_in_the_package(repo):
    files = sorted((repo / 'docs/results').glob('*_tiny_miniscapes.json'))
    assert [file.stem.split('_')[0] for file in files] == ['frozen', 'full']
    _, info = build_encoder(load_config('rein_tiny_miniscapes').model.backbone.encoder)
    for run in stored_runs(files):
        assert run.results['encoder'] == {'name': info.name, 'weights': info.weights}
        assert run.results['changed'] == [] and run.config == f'{Path(run.path).stem}.py'


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"none/results.json' does not exist|none' does not exist"):
        stored_runs([tmp_path / 'none'])
    run = write(tmp_path / 'a', seed=0)
    with pytest.raises(UserError, match='both of LoRA with seed 0'):
        stored_runs([run, run / 'results.json'])
    for text, message in (('{', 'is not JSON'), ('{"seed": 0}', 'no method, domains'), ('3', 'no')):
        (run / 'results.json').write_text(text)
        with pytest.raises(UserError, match=message):
            stored_runs([run])
