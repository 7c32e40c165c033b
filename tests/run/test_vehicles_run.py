"""Runs on the drawn vehicles, in seconds: classification and retrieval of unseen classes."""

import json

import pytest

from rein_seg.apis import load_config, train
from rein_seg.cli import main
from tests.paths import REPO

TEXT = """
_base_ = [{base!r}]
model = dict(backbone=dict(encoder=dict(
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=32, patch_size=8, out_indices=[0, 1], checkpoint=None, init_seed=0)))
data_root = {data!r}
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=2, by_epoch=False)]
"""
RUNS = {
    'minivehicles': ('lora_tinyclip_minivehicles', ('top1', 'top5', 'mean_class'), 16),
    'minivehicles_retrieval': (
        'lora_tinyvit_minivehicles_retrieval',
        ('R@1', 'R@2', 'R@4', 'R@8'),
        96,
    ),
}
TARGETS = ['overcast', 'night', 'fog', 'rain', 'snow']


def config(folder, name):
    """Returns the leaf of a benchmark on a tiny encoder, with few and small pictures."""
    base, _, count = RUNS[name]
    path = folder / f'{name}.py'
    path.write_text(TEXT.format(base=str(REPO / f'configs/{base}.py'), data=str(folder / 'drawn')))
    cfg = load_config(str(path), work_dir=str(folder / 'run'))
    sets = [cfg.train_dataloader.dataset, *cfg.val_dataloader.dataset.datasets]
    for dataset in [*sets, *cfg.test_dataloader.dataset.datasets]:
        dataset.update(count=count, size=(32, 32))
    cfg.experiment_name = f'test-{name}-{folder.name}'
    return cfg


@pytest.mark.parametrize('name', RUNS)
def test_a_run_scores_every_domain(tmp_path, name):
    results = train(config(tmp_path, name))
    columns = RUNS[name][1]
    assert list(results['domains']) == ['clear', *TARGETS] and results['targets'] == TARGETS
    for domain in results['domains'].values():
        assert domain['images'] == (16 if name == 'minivehicles' else 48)
        assert all(0 <= domain[column] <= 100 for column in columns)
    mean = sum(results['domains'][target][columns[0]] for target in TARGETS) / len(TARGETS)
    assert results['mean_over_targets'][columns[0]] == pytest.approx(mean)
    assert json.loads((tmp_path / 'run/results.json').read_text()) == results
    assert (tmp_path / 'run/adapter.safetensors').exists()


def test_training_and_test_of_retrieval_share_no_class_and_every_word():
    cfg = load_config(str(REPO / 'configs/frozen_tinyvit_minivehicles_retrieval.py'))
    trained = cfg.train_dataloader.dataset.metainfo.classes
    tested = {tuple(one.metainfo.classes) for one in cfg.val_dataloader.dataset.datasets}
    (tested,) = tested
    assert len(trained) == len(tested) == cfg.model.num_classes == 48
    assert not set(trained) & set(tested)
    for part in (trained, tested):
        colours, subtypes = zip(*(name.split(' ', 1) for name in part), strict=True)
        assert len(set(colours)) == 6 and len(set(subtypes)) == 16


@pytest.mark.parametrize('name', RUNS)
def test_check_data_reads_every_picture(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    cfg = config(tmp_path, name)
    cfg.dump('small.py')
    assert main(['check-data', 'small.py', '--workers', '1', '--out', 'checked']) == 0
    report = json.loads((tmp_path / 'checked/check_data.json').read_text())
    assert report['faults'] == 0
    assert {part['images'] for part in report['datasets']} == {48 if 'retrieval' in name else 16}
    for part in report['datasets']:
        assert {one['images'] for one in part['classes'].values()} == {1}
