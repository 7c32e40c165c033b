"""A run on volumes with a reconstructed head: scores of volumes, and the label of the head."""

import json

import pytest

from rein_seg.apis import load_config, train
from rein_seg.checkpoint import read_adapter
from rein_seg.errors import UserError
from tests.paths import REPO
from tests.run.tiny_run import PIPELINE

TEXT = """
_base_ = [{base!r}]
model = dict(
    backbone=dict(encoder=dict(
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32, patch_size=8, out_indices=[0, 1], checkpoint=None, init_seed=0)),
    decode_head=dict(_delete_=True, type='RepSepHead', channels=8, num_heads=2))
benchmark = dict(crop_size=(32, 32))
data_root = {data!r}
train_dataloader = dict(batch_size=2, dataset=dict(count=12, size=(32, 32)))
val_dataloader = dict(batch_size=5, dataset=dict(datasets={datasets!r}, _delete_=True,
                                                 type='ConcatDataset'))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=2, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=2, save_best='benchmark'))
val_evaluator = dict(targets=['soft'])
test_evaluator = val_evaluator
"""


def config(folder, **options):
    datasets = [
        dict(type='OrgansDataset', domain=domain, split='val', count=14, size=(32, 32),
             test_mode=True, pipeline=PIPELINE, **options)
        for domain in ('standard', 'soft')
    ]  # fmt: skip
    base = str(REPO / 'configs/frozen_tiny_organs.py')
    path = folder / 'volumes.py'
    path.write_text(TEXT.format(base=base, data=str(folder / 'organs'), datasets=datasets))
    return load_config(str(path), work_dir=str(folder / 'run'))


def test_a_run_scores_volumes_and_names_the_reconstruction(tmp_path):
    results = train(config(tmp_path))
    assert results['units'] == dict.fromkeys(('HD95', 'ASD', 'ASSD'), 'voxels')
    for name in ('standard', 'soft'):
        domain = results['domains'][name]
        assert (domain['images'], domain['volumes']) == (14, 2)
        assert sum(domain['presence'].values()) == 2 * 5
        assert list(domain['of_classes']['Dice']) == [
            'liver', 'stomach', 'spleen', 'kidney', 'aorta',
        ]  # fmt: skip
        assert 0 <= domain['Dice'] <= 100 and 'mIoU' in domain
    assert results['reconstructions']['RepSepHead'].startswith('RepSepStyle')
    assert json.loads((tmp_path / 'run/results.json').read_text()) == results
    metadata = read_adapter(tmp_path / 'run/adapter.safetensors').metadata
    assert metadata['scores']['Dice'].keys() == {'standard', 'soft'}


def test_a_part_of_a_volume_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"volume 'val 0': slices \[4, 5, .* are missing of 12"):
        train(config(tmp_path, indices=4))
