"""A run of two tasks in seconds, and its second stage."""

import hashlib
import itertools
from pathlib import Path

from rein_seg.apis import load_config
from tests.paths import REPO

KEY = itertools.count()
STAGE_1, STAGE_2 = 'lv_adapter_tinyclip_miniscapes', 'lv_adapter_tinyclip_miniscapes_finetune'
TEXT = """
_base_ = [{base!r}]
_tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8)
model = dict(
    backbone=dict(encoder=dict(
        arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
        img_size=(32, 64), patch_size=8, out_indices=[0, 1, 2, 3], checkpoint=None, init_seed=0)),
    text=dict(tower=_tower),
    neck=dict(out_channels=16),
    decode_head=dict(channels=8))
benchmark = dict(crop_size=(32, 64))
data_root = {data!r}
randomness = dict(seed=3)
_small = dict(split='val', count=2, size=(64, 32), test_mode=True, pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='PackDomainInputs')])
val_dataloader = dict(dataset=dict(_delete_=True, type='TaskDatasets', datasets=[
    dict(type=kind, domain=domain, task=task, **_small)
    for task, kind in (('semantic', 'MiniScapesDataset'), ('road', 'MiniRoadsDataset'))
    for domain in ('clear', 'night')]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='DomainIoUMetric', task=task, source='clear', targets=['night'])
    for task in ('semantic', 'road')]
test_evaluator = val_evaluator
train_dataloader = dict(dataset=dict(_delete_=True, type='TaskDatasets', datasets=[
    dict(type=kind, domain='clear', task=task, split='train', count=5, size=(64, 32), pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadLabels'),
        dict(type='RandomFlip', prob=0.5), dict(type='PackDomainInputs')])
    for task, kind in (('semantic', 'MiniScapesDataset'), ('road', 'MiniRoadsDataset'))]))
max_iters = 6
train_cfg = dict(val_interval=6)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=6, by_epoch=False)]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2, max_keep_ckpts=10))
"""


def tasks_config(folder: Path, base: str = STAGE_1, name: str = 'run', extra: str = '', **options):
    """Returns a completed config with a run name of its own."""
    text = TEXT.format(base=str(REPO / f'configs/{base}.py'), data=str(folder / 'scenes'))
    path = folder / f'{name}.py'
    path.write_text(text + extra)
    cfg = load_config(
        str(path),
        work_dir=str(folder / name),
        cfg_options={k.replace('__', '.'): v for k, v in options.items()},
    )
    cfg.experiment_name = f'tasks{next(KEY)}'
    return cfg


def encoder_sha256(model):
    """Returns the SHA-256 of the encoder's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.backbone.encoder.state_dict(keep_vars=True).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
