"""A command goes on where an earlier command stopped, and never mixes what differs."""

import hashlib
import json
import os
from pathlib import Path

import cv2
import pytest

import rein_seg
from rein_seg.errors import NotFinite
from rein_seg.inference.items import Settings
from rein_seg.inference.predict_files import predict_files
from rein_seg.inference.predictor import Predictor
from rein_seg.inference.record import Record, read_records
from tests.cli.calls import assert_refused
from tests.inference.command import files, label, predict, record
from tests.inference.tiny_adapter import draw, film, tiny_adapter


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_same_command_goes_on():
    for name in 'abc':
        draw(f'in/{name}.jpg')
    assert predict('in')[0] == 0
    whole = {name: Path('out', name).read_bytes() for name in files()}
    stamps = {name: os.stat(f'out/{name}.png').st_mtime_ns for name in 'abc'}
    Path('out/b.png').unlink()
    assert predict('in')[0] == 0
    again = {name: os.stat(f'out/{name}.png').st_mtime_ns for name in 'abc'}
    assert [name for name in 'abc' if stamps[name] != again[name]] == ['b']
    assert Path('out/b.png').read_bytes() == whole['b.png']
    Path('out/overlays/a.jpg').unlink()
    assert predict('in')[0] == 0
    assert {name: Path('out', name).read_bytes() for name in files()} == whole | {
        'predictions.json': Path('out/predictions.json').read_bytes()
    }
    assert [entry['name'] for entry in record()['images']] == ['a', 'b', 'c']
    draw('more/d.jpg')
    assert predict('more')[0] == 0
    assert sorted(entry['name'] for entry in record()['images']) == ['a', 'b', 'c', 'd']


def test_other_options_another_adapter_and_changed_inputs_are_refused():
    draw('in/a.jpg')
    assert predict('in')[0] == 0
    before = {name: Path('out', name).read_bytes() for name in files()}
    refused = {
        ('in', '--scores'): ['scores=false', 'scores=true', '--overwrite'],
        ('in', '--tta'): ['tta=false', 'tta=true'],
        ('in', '--max-tokens', '64'): ['max_tokens=default', 'max_tokens=64'],
    }
    for words, parts in refused.items():
        assert_refused(*predict(*words), "'out' holds predictions", *parts)
    code, err = predict('in', adapter=tiny_adapter(1))
    assert_refused(code, err, 'another adapter', 'SHA-256', '--out')
    Path('other.py').write_text("_base_ = 'rein_tiny_miniscapes'\n")
    code, err = predict('in', '--config', 'other.py')
    assert_refused(code, err, 'config=default', 'this command has config="', '--overwrite')
    draw('in/a.jpg', seed=1)
    assert_refused(*predict('in'), "'out/a.png'", 'has changed since', '--overwrite')
    draw('other/a.jpg')
    assert_refused(*predict('other'), "'other/a.jpg' is not", '--overwrite')
    assert {name: Path('out', name).read_bytes() for name in files()} == before
    assert predict('in', '--scores', '--overwrite')[0] == 0
    assert record()['options']['scores'] is True
    assert Path('out/a.png').read_bytes() != before['a.png']
    assert predict('in', '--no-overlays', '--overwrite')[0] == 0
    assert files() == ['a.png', 'predictions.json']


def test_the_same_config_goes_on():
    draw('in/a.jpg')
    predictor = rein_seg.load(tiny_adapter(), device='cpu')
    options = dict(load=lambda: predictor, config='rein_tiny_miniscapes')
    done = [predict_files(tiny_adapter(), ['in'], 'out', Settings(), **options) for _ in range(2)]
    assert [(one.predicted, one.kept) for one in done] == [(1, 0), (0, 1)]
    assert len(record()['options']['config']) == 64


def test_a_record_without_later_options_goes_on():
    draw('in/a.jpg')
    assert predict('in')[0] == 0
    content = record()
    assert content['options'].pop('config') is None
    Path('out/predictions.json').write_text(json.dumps(content))
    before = os.stat('out/a.png').st_mtime_ns
    assert predict('in')[0] == 0
    assert os.stat('out/a.png').st_mtime_ns == before


def test_overwrite_removes_what_a_record_names_or_it_replaces_alone():
    draw('in/a.jpg')
    draw('in/b.jpg')
    for name in ('overlays/a.jpg', 'scores/a.npy', 'a.tif', 'a.png'):
        Path('out', name).parent.mkdir(parents=True, exist_ok=True)
        Path('out', name).write_text('mine')
    assert predict('in', '--no-overlays', '--overwrite')[0] == 0
    for name in ('overlays/a.jpg', 'scores/a.npy', 'a.tif'):
        assert Path('out', name).read_text() == 'mine'
    assert label('out/a.png').shape == (40, 60)
    assert predict('in', '--scores', '--overwrite')[0] == 0
    before = {name: Path('out', name).read_bytes() for name in ('b.png', 'overlays/b.jpg')}
    Path('in/b.jpg').write_text('broken')
    assert predict('in', '--overwrite')[0] == 3
    assert {name: Path('out', name).read_bytes() for name in before} == before
    assert files() == sorted(
        ['a.png', 'a.tif', 'overlays/a.jpg', *before, 'predictions.json', 'scores/b.npy']
    )


class _Failing(Predictor):
    def predict_image(self, image, *, name='image', **options):
        if name.endswith('nan.jpg'):
            raise NotFinite(f'{name}: NaN')
        if name.endswith('wide.jpg'):
            cv2.resize(image, (0, 0))
        return super().predict_image(image, name=name, **options)


def test_an_image_that_fails_leaves_the_others():
    for name in ('a', 'nan', 'wide', 'z'):
        draw(f'in/{name}.jpg')
    model = rein_seg.load(tiny_adapter(), device='cpu').model
    for kept in (0, 2):
        done = predict_files(
            tiny_adapter(), ['in'], 'out', Settings(), load=lambda: _Failing(model)
        )
        assert (done.predicted, done.kept, len(done.skipped)) == (2 - kept, kept, 2)
    reasons = {Path(one['source']).name: one['reason'] for one in record()['skipped']}
    assert "'in/nan.jpg' cannot be predicted" in reasons['nan.jpg']
    assert 'OpenCV' in reasons['wide.jpg']
    assert '\n' not in reasons['wide.jpg']


def test_the_journal_is_removed_while_it_is_locked(tmp_path):
    header = dict(adapter=dict(file='a', sha256='0'), options={})
    with Record('out', header) as written:
        journal = written.path.with_suffix('.journal')
        assert journal.exists()
    assert not journal.exists()
    with Record('out', header):  # the next command
        assert journal.exists()


def test_an_overwrite_that_was_stopped_goes_on_without_old_files():
    draw('in/a.jpg')
    film('in/clip.mp4', count=3)
    assert predict('in', adapter=tiny_adapter(1))[0] == 0
    content = record()
    content |= {'adapter': {**content['adapter'], 'sha256': hashlib.sha256(
        Path(tiny_adapter()).read_bytes()).hexdigest()}}  # fmt: skip
    old = [{key: entry[key] for key in ('name', 'output')} for entry in content['images']]
    Path('out/predictions.json').write_text(
        json.dumps({**content, 'images': [], 'unfinished': old, 'complete': False})
    )
    for out in ('out', 'fresh'):
        assert predict('in', out=out)[0] == 0
    for name in ('a.png', 'clip/000000.png', 'clip/000002.png'):
        assert Path('out', name).read_bytes() == Path('fresh', name).read_bytes()
    assert [entry['name'] for entry in record()['images']] == ['a', 'clip']
    assert record()['unfinished'] == []


def test_old_files_stay_known_while_they_are_replaced():
    draw('in/a.jpg')
    assert predict('in')[0] == 0
    found = read_records('out')
    header = {**found[0].header, 'options': {'every': 2}}
    later = Record('out', header)
    later.take_over(found, ['a'], {}, renew=True)
    assert later.begun == {'a': {'name': 'a', 'output': 'a.png', 'overlay': 'overlays/a.jpg'}}
    same = Record('out', found[0].header)
    same.take_over(found, ['a'], {})
    assert same.begun['a']['source'] == str(Path('in/a.jpg').absolute())
    assert same.done == {}
