"""A whole run in seconds: the demo's config on a smaller encoder and smaller scenes."""

import itertools
from pathlib import Path

from rein_seg.apis import load_config
from tests.paths import REPO

CACHE_KEY = itertools.count()

TEXT = """
_base_ = [{base!r}]
model = dict(backbone=dict(encoder=dict(
    arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
    img_size=(32, 64), patch_size=8, out_indices=[0, 1], checkpoint=None, init_seed=0)))
benchmark = dict(crop_size=(32, 64))
data_root = {data!r}
randomness = dict(seed=3)
train_dataloader = dict(batch_size=2, dataset=dict(count=7, size=(64, 32)))
val_dataloader = dict(dataset=dict(datasets={datasets!r}, _delete_=True, type='ConcatDataset'))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=6, val_interval=6)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=6, by_epoch=False)]
default_hooks = dict(logger=dict(interval=2), checkpoint=dict(interval=2, max_keep_ckpts=10))
val_evaluator = dict(targets=['night'])
test_evaluator = val_evaluator
"""
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]


def write_config(folder: Path, base: str = 'rein_tiny_miniscapes', extra: str = '') -> str:
    """Writes a config into ``folder`` and returns its path."""
    datasets = [
        dict(
            type='MiniScapesDataset',
            domain=domain,
            split='val',
            count=3,
            size=(64, 32),
            test_mode=True,
            pipeline=PIPELINE,
        )
        for domain in ('clear', 'night')
    ]
    text = TEXT.format(
        base=str(REPO / f'configs/{base}.py'), data=str(folder / 'scenes'), datasets=datasets
    )
    path = folder / 'tiny.py'
    path.write_text(text + extra)
    return str(path)


def tiny_config(folder: Path, base: str = 'rein_tiny_miniscapes', extra: str = '', **options):
    """Returns a completed config with a run name of its own."""
    cfg = load_config(
        write_config(folder, base, extra),
        work_dir=str(folder / 'run'),
        cfg_options={k.replace('__', '.'): v for k, v in options.items()},
    )
    cfg.experiment_name = f'test{next(CACHE_KEY)}-{folder.name}'
    return cfg
