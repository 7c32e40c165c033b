"""GTAV -> Cityscapes, BDD100K, Mapillary end to end: trained once, tested under two protocols."""

import json

import pytest

from rein_seg.apis import load_config, train
from rein_seg.checkpoint import read_adapter
from rein_seg.datasets import CityscapesSpaceDataset, PackDomainInputs
from rein_seg.run.test import check_weights
from tests.cli.calls import assert_refused, call
from tests.paths import REPO
from tests.run.driving_trees import write_trees

LEAF = """
_base_ = [{base!r}]
data_root = {data!r}
max_iters = 20
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True, name='tiny', type='DINOv2', img_size=512, out_indices=[0, 1, 2, 3],
            arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
            init_seed=0),
        peft=dict(type='Rein', num_tokens=8, rank=4, query_dims=16)),
    decode_head=dict(
        feat_channels=16, num_queries=8, num_heads=2, encoder_layers=1, decoder_layers=1,
        encoder_hidden=16, decoder_hidden=16, norm_groups=4, loss=dict(num_points=256)))
train_dataloader = dict(batch_size=1, num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
default_hooks = dict(checkpoint=dict(interval=10))
"""
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('quick')]
TARGETS = ['cityscapes', 'bdd100k', 'mapillary']
CHANGED = [
    'max_iters 20 instead of 40000',
    'batch 1 instead of 4',
    'images of gtav 4 instead of 24966',
]
NUMBERS = [
    'images of cityscapes 1 instead of 500',
    'images of bdd100k 1 instead of 1000',
    'images of mapillary 1 instead of 2000',
]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with the config, the trees and a finished run; the run's results."""
    folder = tmp_path_factory.mktemp('protocols')
    write_trees(folder / 'data')
    base = str(REPO / 'configs/rein_dinov2_gtav.py')
    (folder / 'leaf.py').write_text(LEAF.format(base=base, data=str(folder / 'data')))
    cfg = load_config(str(folder / 'leaf.py'), work_dir=str(folder / 'run'))
    return folder, train(cfg)


@pytest.fixture
def tool(trained):
    def run(name, *args):
        return call(name, trained[0] / 'leaf.py', *args)

    return run


def test_a_run_says_what_it_changed(trained):
    folder, results = trained
    assert (results['protocol'], results['changed']) == ('rein512', [*CHANGED, *NUMBERS])
    assert (results['iterations'], results['selection']) == (20, 'last')
    assert list(results['domains']) == results['targets'] == TARGETS
    record = dict(
        benchmark='gtav_to_urban',
        protocol='rein512',
        changed=CHANGED,
        selection='last',
        max_iters=20,
        classes=list(CityscapesSpaceDataset.METAINFO['classes']),
    )
    assert results['training'] == record
    metadata = read_adapter(folder / 'run/adapter.safetensors').metadata
    assert (metadata['training'], metadata['selection']) == (record, 'last')
    log = next((folder / 'run').glob('*/*.log')).read_text()
    assert f'protocol rein512, changed: {"; ".join([*CHANGED, *NUMBERS])}, scores in %' in log


def test_one_model_under_two_protocols(trained, tool, tmp_path, monkeypatch):
    folder, results = trained
    widths, pack = [], PackDomainInputs.transform

    def note(self, sample):
        widths.append(sample['img'].shape[1])
        return pack(self, sample)

    monkeypatch.setattr(PackDomainInputs, 'transform', note)
    adapter = str(folder / 'run/adapter.safetensors')
    code, err = tool(
        'test', adapter, '--protocol', 'rein512', '--protocol', 'soma512',
        '--work-dir', str(tmp_path / 'test'), '--out', str(tmp_path / 'out'),
    )  # fmt: skip
    assert code == 0, err
    found = json.loads((tmp_path / 'test/results.json').read_text())
    assert list(found['protocols']) == ['rein512', 'soma512']
    assert 'domains' not in found
    assert (found['selection'], found['training']) == ('last', results['training'])
    rein, soma = found['protocols'].values()
    assert rein['domains'] == results['domains']
    # cityscapes, bdd100k, mapillary, then cityscapes and mapillary at twice the size
    assert list(dict.fromkeys(widths)) == [1024, 1280, 683, 2048, 1365]
    assert rein['changed'] == [*CHANGED, *NUMBERS]
    trained_so = 'trained under a changed rein512'
    assert (soma['protocol'], soma['changed']) == ('soma512', [trained_so, *NUMBERS])
    assert soma['not_known']
    log = next((tmp_path / 'test').glob('*/*.log')).read_text()
    assert log.count('coverage') <= log.count('0 unexpected') == 1  # loaded once
    for report in (rein, soma):
        row = [report['protocol'], *(f'{report["domains"][d]["mIoU"]:.2f}' for d in TARGETS)]
        row.append(f'{report["mean_over_targets"]["mIoU"]:.2f}')
        assert row in [line.split() for line in log.splitlines()]
    assert f'soma512, changed: {"; ".join([trained_so, *NUMBERS])}\n' in log
    pictures = sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / 'out').rglob('*.png'))
    assert len(pictures) == 6
    assert pictures[0] == 'out/rein512/bdd100k/a_00000.png'
    names = {p.name for p in (tmp_path / 'test').glob('*.png')}
    assert names == {'overview_rein512.png', 'overview_soma512.png'}
    pages = {p.name for p in (tmp_path / 'test').glob('*.html')}
    assert pages == {'report_rein512.html', 'report_soma512.html'}


def test_a_checkpoint_on_the_way_says_so(trained):
    """Whoever takes it has chosen it."""
    folder, results = trained
    assert check_weights(str(folder / 'run/iter_20.pth')) == results['training']
    record = check_weights(str(folder / 'run/iter_10.pth'))
    assert record['selection'] == 'iteration 10 of 20'
    assert record['changed'] == [*CHANGED, 'checkpoint of iteration 10 of 20']


def test_protocols_are_refused_before_anything_is_built(trained, tool, tmp_path):
    folder, _ = trained
    adapter = str(folder / 'run/adapter.safetensors')
    names = 'rein512, rein1024, soma512, tqdm, mfuser, vfmseg, vltseg'
    assert_refused(
        *tool('test', adapter, '--protocol', 'rein512', '--protocol', 'soma'),
        "protocol='soma'", "did you mean 'soma512'", f"'gtav_to_urban' has {names}",
    )  # fmt: skip
    both = ('--protocol', 'rein512', '--protocol', 'soma512')
    assert_refused(*tool('test', adapter, *both, '--show-dir', 'x'), '--show-dir with 2 protocols')
    options = ('--work-dir', str(tmp_path), '--cfg-options')
    best = 'default_hooks.checkpoint.save_best=mean/mIoU'
    assert_refused(
        *tool('train', *options, best), 'save_best', "protocol 'rein512' does not", 'soma512'
    )
    assert_refused(
        *tool('train', *options, 'protocol=soma512'),
        'ema begins at update 12000 of the optimizer, the run ends at 20',
    )
    assert not list(tmp_path.glob('*.pth'))
