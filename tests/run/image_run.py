"""A run on whole images in seconds: three colours, a tiny encoder, the benchmark of own folders."""

import itertools
from pathlib import Path

import cv2
import numpy as np

from rein_seg.apis import load_config
from tests.paths import REPO

RUNS = itertools.count()
CLASSES = ('blue_bus', 'green van', 'red car')
TEXT = """
_base_ = [{base!r}]
model = dict(backbone=dict(encoder=dict(
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=32, patch_size=8, out_indices=[0, 1], checkpoint=None, init_seed=0)))
data_root = {data!r}
load = dict(type='LoadDomainImage')
steps = [load, dict(type='mmpretrain.RandomResizedCrop', scale=32, interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5), dict(type='PackImageInputs')]
test_steps = [load, dict(type='mmpretrain.ResizeEdge', scale=32, interpolation='bicubic'),
    dict(type='mmpretrain.CenterCrop', crop_size=32), dict(type='PackImageInputs')]
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(pipeline=steps))
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=test_steps))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.02))
train_cfg = dict(max_iters=6, val_interval=6)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=6, by_epoch=False)]
default_hooks = dict(logger=dict(interval=2), checkpoint=dict(interval=2, max_keep_ckpts=10))
"""


def draw(root):
    """Draws folders train and val with a folder for each class."""
    generator = np.random.default_rng(0)
    for split in ('train', 'val'):
        for k, name in enumerate(CLASSES):
            folder = Path(root, split, name)
            folder.mkdir(parents=True)
            for i in range(4):
                image = generator.integers(0, 90, (40 + i, 56, 3), dtype=np.uint8)
                image[..., k] += 120
                assert cv2.imwrite(str(folder / f'{i}.png'), image)


def write_config(folder, data):
    """Writes a config into ``folder`` and returns its path."""
    base = str(REPO / 'configs/lora_tiny_image_folder.py')
    path = Path(folder, 'own.py')
    path.write_text(TEXT.format(base=base, data=str(data)))
    return str(path)


def image_config(folder, data, **options):
    """Returns a completed config with a run name of its own."""
    cfg = load_config(
        write_config(folder, data),
        work_dir=str(folder / 'run'),
        cfg_options={k.replace('__', '.'): v for k, v in options.items()},
    )
    cfg.experiment_name = f'images{next(RUNS)}-{folder.name}'
    return cfg
