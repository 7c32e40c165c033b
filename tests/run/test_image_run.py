"""Models of whole images go through the commands as segmentors do."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

import rein_seg
from rein_seg.apis import load_config, submit, train
from rein_seg.checkpoint import read_adapter, read_checkpoint
from rein_seg.errors import UserError
from rein_seg.export.count import count
from rein_seg.export.merge import merge
from tests.cli.calls import assert_refused, call
from tests.run.image_run import CLASSES, draw, image_config, write_config
from tests.run.tiny_run import tiny_config


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Folder of images and run, and the results."""
    folder = tmp_path_factory.mktemp('images')
    draw(folder / 'data')
    return folder, train(image_config(folder, folder / 'data'), inference_cost=True)


def test_results_name_classes_accuracy_and_benchmark(finished):
    folder, results = finished
    assert results['benchmark'] == 'image_folder'
    assert results['num_classes'] == 3
    scores = results['domains']['images']
    assert scores['images'] == 12
    assert list(scores['accuracy']) == list(CLASSES)
    assert results['mean_over_targets']['top1'] == scores['top1']
    assert scores['mean_class'] == pytest.approx(scores['top1'])  # each class has 4 images
    assert results['changed'] == []
    assert list(results['mean_over_targets']) == ['top1', 'mean_class']
    assert results['inference']['ms_per_image'] > 0
    report = json.loads((folder / 'run/report.json').read_text())
    assert report['unit'] == 'images'
    matrix = report['domains']['images']['confusion']
    assert [sum(row) for row in matrix] == [4, 4, 4]
    assert 100 * sum(matrix[k][k] for k in range(3)) / 12 == pytest.approx(scores['top1'])
    assert {'label', 'pred', 'image'} <= report['domains']['images']['pictures'][0].keys()
    assert (folder / 'run/overview.png').stat().st_size > 1000


def test_the_adapter_names_task_and_classes_and_holds_no_frozen_tensor(finished):
    adapter = read_adapter(finished[0] / 'run/adapter.safetensors')
    assert adapter.metadata['task'] == 'images'
    assert adapter.metadata['dataset_meta']['classes'] == list(CLASSES)
    assert {name.partition('.')[0] for name in adapter.tensors} == {'backbone', 'head'}
    assert not any('.encoder.' in name for name in adapter.tensors)


def test_a_resumed_run_equals_an_uninterrupted_run(finished, tmp_path):
    (tmp_path / 'run').mkdir()
    shutil.copy(finished[0] / 'run/iter_2.pth', tmp_path / 'run')
    results = train(image_config(tmp_path, finished[0] / 'data'), resume=True)
    assert results['parameters_sha256'] == finished[1]['parameters_sha256']
    assert results['domains'] == finished[1]['domains']
    both = [read_checkpoint(f / 'run/iter_6.pth')['state_dict'] for f in (finished[0], tmp_path)]
    assert all(torch.equal(x, both[1][name]) for name, x in both[0].items())


def test_a_test_gives_the_scores_of_the_training(finished, tmp_path):
    weights = str(finished[0] / 'run/adapter.safetensors')
    results = rein_seg.test(image_config(tmp_path, finished[0] / 'data'), weights)
    assert results['domains'] == finished[1]['domains']
    assert results['training']['classes'] == list(CLASSES)


def test_predictions_of_a_folder_are_a_table(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, images = finished[0] / 'run', finished[0] / 'data/val'
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'\x89PNG')
    code, _ = call('predict', run, images, broken, '--out', 'out', '--device', 'cpu')
    assert code == 3
    rows = list(csv.DictReader(Path('out/predictions.csv').read_text().splitlines()))
    assert len(rows) == 12
    assert list(rows[0])[:3] == ['image', 'class', 'probability']
    assert list(rows[0])[-1] == 'probability_3'
    right = sum(row['class'] == row['image'].split('/')[-2] for row in rows)
    assert 100 * right / 12 == pytest.approx(finished[1]['domains']['images']['top1'])
    assert sum(float(rows[0][f'probability{i}']) for i in ('', '_2', '_3')) == pytest.approx(
        1, abs=1e-4
    )
    assert_refused(*call('predict', run, images, '--out', 'out'), 'exists', '--overwrite')
    for options in (['--tta'], ['--scores'], ['--max-tokens', 99], ['--shard', '1/2']):
        refused = call('predict', run, images, '--out', 'other', *options)
        assert_refused(*refused, f'{options[0]} is for maps of classes')
    assert_refused(*call('predict', run, images, '--out', 'o', '--classes', 'car, bus'), 'fixed')


def test_a_program_gets_classes_and_probabilities(finished):
    predictor = rein_seg.load(finished[0] / 'run', device='cpu')
    results = predictor.predict(str(finished[0] / 'data/val'))
    assert len(results) == 12
    assert results[0].classes == CLASSES
    names = [name for name, _ in results[0].top(5)]
    assert sorted(names) == sorted(CLASSES)
    assert results[0].probability == max(results[0].scores)
    pixels = torch.zeros(3, 40, 50)
    assert predictor.predict([pixels, pixels])[1].label in CLASSES
    with pytest.raises(UserError, match='PEFTImageModel gives one result for a whole image'):
        rein_seg.predict(predictor.model, pixels.permute(1, 2, 0).numpy().astype('uint8'))


def test_merged_weights_classify_alike(finished, tmp_path):
    cfg = image_config(tmp_path, finished[0] / 'data')
    weights, target = str(finished[0] / 'run/adapter.safetensors'), str(tmp_path / 'm.safetensors')
    merged = merge(cfg, weights, target, layout='mmpretrain')
    assert merged.difference < 1e-4
    again = load_config(str(merged.config), work_dir=str(tmp_path / 't'))
    results = rein_seg.test(again, str(merged.adapter))
    assert results['domains'] == finished[1]['domains']


def test_counts_need_no_weights(finished, tmp_path):
    counts = count(image_config(tmp_path, finished[0] / 'data'))
    assert counts == finished[1]['parameters']


def test_data_are_checked_and_wrong_data_named(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished[0] / 'data', 'data')
    config = write_config(tmp_path, tmp_path / 'data')
    code, _ = call('check-data', config, '--out', 'checked')
    assert code == 0
    found = json.loads((tmp_path / 'checked/check_data.json').read_text())
    assert [part['images'] for part in found['datasets']] == [12, 12]
    assert found['datasets'][0]['classes']['red car']['images'] == 4
    assert (tmp_path / 'checked/overlays.png').is_file()
    (tmp_path / 'data/train/red car/0.png').write_bytes(b'no picture')
    code, _ = call('check-data', config, '--out', 'checked')
    assert code == 1
    assert_refused(*call('train', config), '0.png', 'cannot be read')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(benchmark='miniscapes'), 'MiniScapesDataset is of a model that segments'),
        (
            dict(val_evaluator__type='DomainIoUMetric'),
            'DomainIoUMetric is of a model that segments',
        ),
        (dict(model__test_cfg=dict(mode='slide')), 'is for windows and maps'),
        (dict(benchmark__unseen=['red car']), 'benchmark.unseen is for labels of pixels'),
        (dict(benchmark__class_weights='auto'), 'benchmark.class_weights is for labels of pixels'),
        (dict(train_dataloader__dataset__shots=5), r"shots=5, but the class 'blue_bus' has 4"),
        (dict(data_root='nowhere'), "folder of images 'nowhere/train' does not exist"),
        (dict(model__head__type='LinearHead'), 'LinearHead is no head for whole images'),
    ],
)
def test_what_makes_no_sense_for_images_is_one_line(finished, tmp_path, options, words):
    with pytest.raises(UserError, match=words) as error:
        train(image_config(tmp_path, finished[0] / 'data', **options))
    assert '\n' not in str(error.value)


def test_files_and_configs_of_the_other_task_are_refused_before_work(finished, tmp_path):
    weights = str(finished[0] / 'run/adapter.safetensors')
    with pytest.raises(UserError, match='of a model that gives one result for a whole image'):
        rein_seg.test(tiny_config(tmp_path), weights)
    cfg = image_config(tmp_path, finished[0] / 'data')
    with pytest.raises(UserError, match='--submit needs a model that segments'):
        submit(cfg, weights)
    for options in (dict(out='maps'), dict(show_dir='shown')):
        with pytest.raises(UserError, match='writes maps of classes'):
            rein_seg.test(cfg, weights, **options)


def test_commands_and_functions_for_maps_refuse_models_of_whole_images(finished, tmp_path):
    cfg = image_config(tmp_path, finished[0] / 'data')
    with pytest.raises(UserError, match='AdapterService needs a model that segments'):
        rein_seg.AdapterService(device='cpu').add('own', cfg)
    with pytest.raises(UserError, match="head='linear_image' is a head of whole images"):
        rein_seg.build_model('vit_tiny', 'LoRA', 'linear_image', num_classes=3, init_seed=0)
    for command in ('linear-probe', 'zero-shot', 'benchmark'):
        refused = call(command, write_config(tmp_path, finished[0] / 'data'))
        assert_refused(*refused, f'rein-seg {command} needs a model that segments')


def test_wrong_ends_of_pipelines_name_the_step_that_is_needed(finished, tmp_path):
    load, resize = dict(type='LoadDomainImage'), dict(type='Resize', scale=(32, 32))
    for steps in ([load, resize, dict(type='PackDomainInputs')], [load]):
        options = dict(train_dataloader__dataset__pipeline=steps)
        with pytest.raises(UserError, match='end it with PackImageInputs'):
            train(image_config(tmp_path, finished[0] / 'data', **options))


def test_files_of_segmentors_are_refused_for_whole_images(finished, tmp_path):
    model = rein_seg.build_model('vit_tiny', 'LoRA', 'linear', num_classes=3, init_seed=0)
    rein_seg.save_adapter(model, tmp_path / 'pixels.safetensors')
    cfg = image_config(tmp_path, finished[0] / 'data')
    with pytest.raises(UserError, match='is of a model that segments images'):
        rein_seg.test(cfg, str(tmp_path / 'pixels.safetensors'))
