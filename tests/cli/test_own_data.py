"""Own data from the command line: train, show, test, check-data with one data file."""

import json

import pytest

import rein_seg
from rein_seg.checkpoint import read_adapter
from tests.cli.calls import assert_refused, call
from tests.own_data.made import TEXT, draw_town, pairs


@pytest.fixture(scope='module')
def town(tmp_path_factory):
    """A folder of own data, and a run of four iterations on it in ``run``."""
    folder = tmp_path_factory.mktemp('own')
    draw_town(folder)
    words = ('--data', folder / 'data.yaml', '--max-iters', 4, '--work-dir', folder / 'run')
    code, err = call('train', *words)
    assert code == 0, err
    return folder


def test_one_file_trains_source_and_targets(town):
    results = json.loads((town / 'run/results.json').read_text())
    assert results['benchmark'] == 'custom-town'
    assert results['protocol'] == 'custom-town-32'
    assert list(results['domains']) == ['day', 'dusk']
    assert results['source'] == 'day'
    assert list(results['domains']['dusk']['IoU']) == ['road', 'sky', 'house']
    assert results['selection'].startswith('best of day/mIoU')
    assert (town / 'run/overview.png').is_file()
    text = (town / 'run/own_config.py').read_text()
    assert "_base_/encoders/vit_tiny.py'" in text
    assert 'max_iters = 4' in text


def test_the_adapter_is_enough_and_names_no_machine(town):
    metadata = read_adapter(str(town / 'run/adapter.safetensors')).metadata
    assert metadata['dataset_meta']['classes'] == ['road', 'sky', 'house']
    assert len(metadata['dataset_meta']['palette']) == 3
    assert metadata['benchmark'] == 'custom-town'
    assert metadata['scores']['protocol'] == 'custom-town-32'
    assert str(town) not in json.dumps(metadata)


def test_swapped_names_swap_the_names_of_predictions(town):
    swapped = town / 'swapped.yaml'
    swapped.write_text(TEXT.replace('[road, sky, house]', '[sky, road, house]'))
    words = ('--data', swapped, '--max-iters', 4, '--work-dir', town / 'swapped')
    assert call('train', *words)[0] == 0
    one, two = (
        json.loads((town / f'{run}/results.json').read_text()) for run in ('run', 'swapped')
    )
    first, second = (results['domains']['dusk']['IoU'] for results in (one, two))
    assert first['road'] != first['sky']
    assert (first['road'], first['sky']) == (second['sky'], second['road'])
    image = town / 'dusk/images/0.png'
    shown = [
        rein_seg.load(str(town / f'{run}/adapter.safetensors'), device='cpu').predict(str(image))
        for run in ('run', 'swapped')
    ]
    assert (shown[0].map == shown[1].map).all()
    assert [tuple(one.classes) for one in shown] == [
        ('road', 'sky', 'house'), ('sky', 'road', 'house'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('names', 'words'), [('[sky, road, house]', 'in another order'), ('[a, b, c]', 'other names')]
)
def test_a_test_set_of_other_classes_is_refused(town, names, words):
    other = town / 'other.yaml'
    other.write_text(TEXT.replace('[road, sky, house]', names))
    adapter = town / 'run/adapter.safetensors'
    out = ('--work-dir', town / 'test')
    assert_refused(
        *call('test', town / 'run/own_config.py', adapter, '--data', other, *out), words, "'road'"
    )
    assert call('test', town / 'run/own_config.py', adapter, *out)[0] == 0


def test_show_writes_a_config_once(town, tmp_path, capsys):
    target = tmp_path / 'mine.py'
    words = ('--data', town / 'data.yaml', '--peft', 'LoRA', '--as-config', target)
    assert call('show', *words)[0] == 0
    assert "peft=dict(type='LoRA')" in target.read_text()
    assert call('show', target, 'model.num_classes')[0] == 0
    assert 'model.num_classes = 3' in capsys.readouterr().out
    assert_refused(*call('show', *words), 'exists and is never overwritten', 'mine.py')


def test_check_data_reads_a_data_file(town, capsys):
    assert call('check-data', town / 'data.yaml', '--out', town / 'check')[0] == 0
    assert 'train/day' in capsys.readouterr().out


def test_words_without_effect_are_refused(town):
    assert_refused(*call('train'), 'neither a config nor data')
    assert_refused(*call('train', 'rein_tiny_camvid', '--peft', 'LoRA'), '--peft without --data')
    data = ('--data', town / 'data.yaml')
    assert_refused(*call('train', 'rein_tiny_camvid', *data, '--lr', '1'), "'rein_tiny_camvid'")
    assert_refused(*call('train', town / 'data.yaml'), 'is a data file', '--data')
    assert_refused(*call('train', '--data', town / 'data.yml'), 'does not exist', 'data.yaml')


def test_init_data_writes_the_file_and_names_what_is_left_out(tmp_path, capsys):
    pairs(tmp_path / 'leaves', 'images', 'masks', number=10)
    assert call('init-data', tmp_path / 'leaves')[0] == 0
    out = capsys.readouterr().out
    assert 'leaves  train  8       64x48' in out
    assert 'class_2  2' in out
    assert f'rein-seg train --data {tmp_path}/leaves/data.yaml' in out
    assert_refused(*call('init-data', tmp_path / 'leaves'), 'exists and is never overwritten')
    (tmp_path / 'leaves/masks/3.png').unlink()
    assert call('init-data', tmp_path / 'leaves', '--out', tmp_path / 'leaves/b.yaml')[0] == 3
    assert 'images/3.png: image with no label' in capsys.readouterr().out
    for i in range(5, 9):
        (tmp_path / f'leaves/masks/{i}.png').unlink()
    assert call('init-data', tmp_path / 'leaves', '--out', tmp_path / 'leaves/c.yaml')[0] == 3
    shown = 'images/: 5 times image with no label: 3.png, 5.png, 6.png, ...'
    assert shown in capsys.readouterr().out


def test_a_run_is_resumed_by_its_own_words(town):
    words = ('--data', town / 'data.yaml', '--max-iters', 4, '--work-dir', town / 'run')
    before = (town / 'run/results.json').read_text()
    assert call('train', *words, '--resume')[0] == 0
    after = json.loads((town / 'run/results.json').read_text())
    assert after['parameters_sha256'] == json.loads(before)['parameters_sha256']
    assert not (town / 'run.1').exists()
