"""Protocols of ADE20K, one of each published recipe; docs/reference/protocols.md has them."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Node, Protocol
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK, Steps, crops, inside, poly

# the usual steps of mmseg on ADE20K: inside 2048x512, times 0.5 to 2
RESIZE = dict(
    type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), resize_type='Resize',
    keep_ratio=True,
)  # fmt: skip


def plain_adamw(lr: float, weight_decay: float) -> Node:
    """AdamW at one rate, all parameters decayed; a method decides on its own tensors."""
    optimizer = dict(type='AdamW', lr=lr, weight_decay=weight_decay, betas=(0.9, 0.999), eps=1e-8)
    return dict(constructor='TrainableOptimConstructor', optimizer=optimizer)


def rounded_up(divisor: int) -> Steps:
    """Whole images inside 2048x512, sides rounded up, scored at the label's size."""
    multiple = dict(type='ResizeToMultiple', size_divisor=divisor)
    return (LOAD, inside(2048, 512), multiple, LABELS, PACK)


# Wang et al., ICCV 2021, Semantic FPN.
PVT512 = Protocol(
    crop_size=(512, 512),
    batch_size=4,
    gpus=8,
    train_pipeline=crops(512, RESIZE),
    optim_wrapper=plain_adamw(2e-4, 1e-4),
    param_scheduler=(poly(),),
    max_iters=40000,
    val_interval=40000,
    selection=LAST,
    test_cfg=dict(mode='whole'),
    test_pipelines=dict(default=rounded_up(32)),
    not_known=(
        'augmentation, cat_max_ratio: here flip 0.5, PhotoMetricDistortion and 0.75',
        'betas and eps of AdamW: here its defaults',
    ),
)

PROTOCOLS = {'pvt512': PVT512}
