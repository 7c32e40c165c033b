"""A run of EoMT with its own rates and masks that open, also after an interruption."""

import shutil

import pytest

from rein_seg.apis import train
from rein_seg.checkpoint import read_checkpoint
from tests.run.tiny_run import tiny_config

PROBS = 'decode_head.attn_mask_probs'
EXTRA = """
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='LoRA', rank=2)),
    decode_head=dict(
        _delete_=True, type='EoMTHead', num_queries=6, num_blocks=2, loss=dict(num_points=64)))
optim_wrapper = dict(
    accumulative_counts=2,
    paramwise_cfg=dict(
        decay_all=True, layer_decay=dict(factor=0.8), late_prefixes=['backbone.']),
    clip_grad=dict(max_norm=0.01))
param_scheduler = [
    dict(type='TwoStagePolyLR', warmup=(1, 2), begin=0, end=8, by_epoch=False)]
train_cfg = dict(max_iters=8, val_interval=8)
"""


def config(folder, **options):
    return tiny_config(folder, extra=EXTRA, **options)


def saved(folder, iteration):
    return read_checkpoint(folder / f'run/iter_{iteration}.pth')


def test_masks_open_in_a_run_and_it_goes_on_exactly(tmp_path):
    results = train(config(tmp_path))
    # four updates, one in each quarter: the first block opens in the second, the last in the third
    probs = {i: saved(tmp_path, i)['state_dict'][PROBS].tolist() for i in (2, 4, 6, 8)}
    assert probs == {2: [1, 1], 4: [0, 1], 6: [0, 0], 8: [0, 0]}
    groups = saved(tmp_path, 4)['optimizer']['param_groups']
    rates = {group.get('late', False): group['lr'] for group in groups}
    assert rates[False] == pytest.approx(1e-3 * (4 / 7) ** 0.9)
    assert rates[True] == pytest.approx(1e-3 * (4 / 5) ** 0.9)  # of the last block
    other = tmp_path / 'other'
    (other / 'run').mkdir(parents=True)
    shutil.copy(tmp_path / 'run/iter_4.pth', other / 'run')
    again = train(config(other, data_root=str(tmp_path / 'scenes')), resume=True)
    assert again['parameters_sha256'] == results['parameters_sha256']
    assert saved(other, 6)['state_dict'][PROBS].tolist() == [0, 0]
