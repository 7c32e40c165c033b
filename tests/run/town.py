"""A run on folders of images and labels in seconds: data of one's own, as the tutorial has them."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 64)  # height, width
TEXT = """
_base_ = ['_base_/schedules/adamw_tiny.py', '_base_/runtime.py']
encoder = dict(
    type='TinyViT', arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
    img_size=(32, 64), patch_size=8, out_indices=[0, 1], checkpoint=None, init_seed=0)
model = dict(type='PEFTSegmentor', decode_head=dict(type='LinearHead'),
             backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='LoRA')))
benchmark = dict(name='town', protocol='town', num_classes={number}, crop_size=(32, 64),
                 test_cfg=dict(mode='whole'))
pipeline = [dict(type='LoadDomainImage'), dict(type='LoadLabels'), dict(type='PackDomainInputs')]
town = {{'type': 'FolderDataset', **dict(
    domain='town', data_root={root!r}, pipeline=pipeline, metainfo=dict(classes={classes!r}),
    {options})}}
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='StreamSampler'),
                        dataset=town)
val_dataloader = dict(batch_size=1, num_workers=0,
                      sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(town, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='DomainIoUMetric', source='town', protocol='town')
test_evaluator = val_evaluator
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=2, by_epoch=False)]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""


def write_town(
    folder: Path,
    *,
    classes: tuple[str, ...] = ('rest', 'thing'),
    options: str = '',
    extra: str = '',
) -> str:
    """Writes the config of data in ``folder/town`` and returns its path."""
    text = TEXT.format(
        root=str(folder / 'town'), classes=classes, number=len(classes), options=options
    )
    path = folder / 'town.py'
    path.write_text(text + extra)
    return str(path)


def image(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Returns (H, W, 3) random RGB."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def label(*values: int, size: tuple[int, int] = SIZE, dtype: type = np.uint8) -> np.ndarray:
    """Returns an (H, W) label of these values in vertical stripes."""
    height, width = size
    stripes = np.repeat(np.array(values, dtype), -(-width // len(values)))[:width]
    return np.ascontiguousarray(np.broadcast_to(stripes, size))[:height]


def put(folder: Path, kind: str, name: str, array: np.ndarray, **options) -> Path:
    """Saves a picture as ``folder/town/KIND/NAME``."""
    path = folder / 'town' / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def draw_town(
    folder: Path, *, number: int = 4, values: tuple[int, ...] = (0, 1), size: tuple[int, int] = SIZE
) -> Path:
    """Draws images and labels of these ids; returns ``folder/town``."""
    for i in range(number):
        put(folder, 'images', f'{i}.png', image(i, size))
        put(folder, 'labels', f'{i}.png', label(*values, size=size))
    return folder / 'town'
