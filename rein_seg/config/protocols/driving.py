"""Protocols of synthetic driving scenes -> Cityscapes, BDD100K, Mapillary Vistas.

How a published number was trained, how its checkpoint was chosen, which size is scored;
docs/reference/protocols.md has them side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rein_seg.config.definitions import LAST, Node, Protocol

Steps = tuple[Node, ...]
LOAD, LABELS = dict(type='LoadDomainImage'), dict(type='LoadLabels')
PACK = dict(type='PackDomainInputs')
_UNDECAYED = ('norm', 'query_embed', 'query_feat', 'level_embed', 'level_encoding')


def inside(width: int, height: int) -> Node:
    """Resizes an image to fit into width x height pixels."""
    return dict(type='Resize', scale=(width, height), keep_ratio=True)


def fit(width: int, height: int, *, halved: bool = False) -> Steps:
    """Images inside width x height, scored at the label's size; halved: image and label first."""
    if not halved:
        return (LOAD, inside(width, height), LABELS, PACK)
    halve_image, halve_label = dict(type='HalveImage'), dict(type='HalveLabel')
    return (LOAD, halve_image, inside(width, height), LABELS, halve_label, PACK)


def crops(side: int, resize: Node, crop: str = 'FastRandomCrop') -> Steps:
    """Crops of side x side pixels after a resize, flipped and distorted."""
    cut = dict(type=crop, crop_size=(side, side), cat_max_ratio=0.75)
    distort = dict(type='FastPhotoMetricDistortion')
    return (LOAD, LABELS, resize, cut, dict(type='RandomFlip', prob=0.5), distort, PACK)


def shortest_edge(side: int) -> Node:
    """Resizes the shortest edge to half to twice ``side``."""
    scales = [int(side * x * 0.1) for x in range(5, 21)]
    return dict(
        type='RandomChoiceResize',
        scales=scales,
        resize_type='ResizeShortestEdge',
        max_size=4 * side,
    )


def slide(side: int, stride: int, windows: int) -> Node:
    """Slides a window; ``windows`` of them go through at once, which changes no score."""
    return dict(
        mode='slide', crop_size=(side, side), stride=(stride, stride), batch_windows=windows
    )


def adamw(lr: float, weight_decay: float, *, backbone: float | None = None) -> Node:
    """Norms, queries and level embeddings do not decay; a method decides on its own tensors."""
    keys = {name: dict(decay_mult=0.0) for name in _UNDECAYED}
    paramwise: dict[str, Any] = dict(norm_decay_mult=0.0, custom_keys=keys)
    if backbone is not None:
        paramwise['prefix_lr_mult'] = {'backbone.': backbone}
    optimizer = dict(type='AdamW', lr=lr, weight_decay=weight_decay, betas=(0.9, 0.999), eps=1e-8)
    return dict(
        constructor='TrainableOptimConstructor', optimizer=optimizer, paramwise_cfg=paramwise
    )


def poly(begin: int = 0) -> Node:
    """Polynomial decay to 0 at the last iteration."""
    return dict(type='PolyLR', eta_min=0.0, power=0.9, begin=begin, end=None, by_epoch=False)


def warmup(end: int) -> Node:
    """Linear warm-up from a millionth of the rate."""
    return dict(type='LinearLR', start_factor=1e-6, begin=0, end=end, by_epoch=False)


def tested(*sizes: tuple[int, int], halved: bool = False) -> dict[str, Steps]:
    """Pipelines of Cityscapes, BDD100K and Mapillary, which alone is halved."""
    cityscapes, bdd100k, mapillary = sizes
    return dict(
        cityscapes=fit(*cityscapes),
        bdd100k=fit(*bdd100k),
        mapillary=fit(*mapillary, halved=halved),
    )


SMALL, MIDDLE, LARGE = (1024, 512), (1280, 720), (2048, 1024)
RARE = dict(type='RareClassSampler')
DOUBLED = dict(type='RandomScale', ratio_range=(0.5, 2.0))
RARE_UNSAID = 'temperature and least pixels of rare class sampling: here as DAFormer, 0.01 and 3000'
UNSAID = (
    'augmentation, cat_max_ratio: here flip 0.5, PhotoMetricDistortion and 0.75, as rein512',
    'power of the poly schedule, betas and eps of AdamW: here as rein512',
)


def scaled_unsaid(batch: int) -> Sequence[str]:
    """Facts that are not known of the protocols that scale images by a factor."""
    return (
        f'number of GPUs, each with {batch} images',
        'reference of the ratio 0.5 to 2: here the size of the image',
        'start of the warm-up: here a millionth',
        RARE_UNSAID,
        *UNSAID,
    )


# Wei et al., CVPR 2024. Officially level_encoding decays: its name matches none of their keys.
REIN512 = Protocol(
    crop_size=(512, 512),
    batch_size=4,
    gpus=1,
    train_pipeline=crops(512, shortest_edge(512)),
    optim_wrapper=adamw(1e-4, 0.05),
    param_scheduler=(poly(),),
    max_iters=40000,
    val_interval=10000,
    selection=LAST,
    test_cfg=slide(512, 341, 8),
    test_pipelines=tested(SMALL, MIDDLE, SMALL, halved=True),
)
REIN1024 = replace(
    REIN512,
    crop_size=(1024, 1024),
    batch_size=2,
    gpus=4,
    train_pipeline=crops(1024, shortest_edge(1024)),
    optim_wrapper=adamw(6e-5, 0.05),
    param_scheduler=(warmup(10000), poly(10000)),
    test_cfg=slide(1024, 683, 2),
    test_pipelines=tested(LARGE, LARGE, LARGE, halved=True),
    not_known=(
        'size of the test images: here inside 2048x1024, so that windows are whole',
        'whether Mapillary is halved: here as rein512',
    ),
)
# SoMA: the best checkpoint on the test images, of a checkpoint every 4000 iterations.
SOMA512 = replace(
    REIN512,
    optim_wrapper=adamw(1e-4, 0.05, backbone=0.5),
    param_scheduler=(
        poly(),
        dict(
            type='CosineAnnealingParamScheduler',
            param_name='weight_decay',
            eta_min_ratio=1e-5 / 0.05,
            begin=0,
            end=None,
            by_epoch=False,
        ),
    ),
    val_interval=4000,
    selection=dict(metric='mean/mIoU', rule='greater'),
    ema=dict(begin=12000, momentum=0.0002),
    test_pipelines=tested(LARGE, MIDDLE, LARGE, halved=True),
    not_known=("momentum of the average: here 0.0002, mmengine's default",),
)
MFUSER = Protocol(
    crop_size=(512, 512),
    batch_size=2,
    sampler=RARE,
    train_pipeline=crops(512, DOUBLED, 'RareClassCrop'),
    optim_wrapper=adamw(1e-4, 1e-5),
    param_scheduler=(warmup(1500), poly(1500)),
    max_iters=20000,
    val_interval=20000,
    selection=LAST,
    test_cfg=slide(512, 341, 8),
    test_pipelines=tested(LARGE, MIDDLE, LARGE),
    not_known=scaled_unsaid(2),
)
TQDM = replace(
    MFUSER,
    batch_size=8,
    source_split='train',
    optim_wrapper=adamw(1e-5, 1e-4, backbone=0.1),
    not_known=scaled_unsaid(8),
)
VFMSEG = Protocol(
    crop_size=(1024, 1024),
    batch_size=2,
    gpus=1,
    sampler=RARE,
    train_pipeline=crops(1024, inside(2560, 1440), 'RareClassCrop'),
    optim_wrapper=adamw(1e-4, 0.05),
    param_scheduler=(poly(),),
    max_iters=40000,
    val_interval=4000,
    selection=LAST,
    also_selects=('cityscapes/mIoU',),
    test_cfg=slide(512, 320, 8),
    test_pipelines=tested(LARGE, LARGE, LARGE),
    left_out=dict(
        training=('scales of the resize around 2560x1440',),
        evaluation=('second stage of inference',),
    ),
    not_known=(
        'range of the multi-scale resize: here 2560x1440 alone',
        'iterations between validations, of which the best is kept: here 4000',
        'the second stage of inference',
        'which numbers are of the last checkpoint, which of the best on Cityscapes: here the last, '
        'or default_hooks.checkpoint.save_best=cityscapes/mIoU',
        RARE_UNSAID,
        *UNSAID,
    ),
)
# A re-implementation; the original's protocol was not found.
VLTSEG = Protocol(
    crop_size=(512, 512),
    batch_size=16,
    gpus=1,
    train_pipeline=crops(512, inside(1280, 720)),
    optim_wrapper=adamw(1e-4, 0.05, backbone=0.1),
    param_scheduler=(poly(500),),
    max_iters=5000,
    val_interval=5000,
    selection=LAST,
    test_cfg=slide(512, 426, 8),
    test_pipelines=tested(SMALL, SMALL, SMALL),
    not_known=('rate of the first 500 iterations: here the full one', *UNSAID),
)

PROTOCOLS = {
    'rein512': REIN512,
    'rein1024': REIN1024,
    'soma512': SOMA512,
    'tqdm': TQDM,
    'mfuser': MFUSER,
    'vfmseg': VFMSEG,
    'vltseg': VLTSEG,
    # val images of ACDC at 1920x1080; the published scores are of its test server
    'acdc1024': replace(REIN1024, not_known=(), test_pipelines=dict(default=fit(1920, 1080))),
}
