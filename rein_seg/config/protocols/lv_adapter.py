"""Protocols of LV-Adapter's reconstruction: 20k iterations of 16 images, two stages."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.driving import adamw, crops, fit, poly

# named after arXiv 2209.08953, whose text could not be read: all of it is ours
ADAPT = Protocol(
    crop_size=(512, 512),
    batch_size=16,
    gpus=1,
    train_pipeline=crops(
        512,
        dict(type='RandomResize', scale=(1280, 720), ratio_range=(0.5, 2.0), keep_ratio=True),
    ),
    sampler=dict(type='TaskSampler'),
    optim_wrapper=adamw(1e-4, 0.05),
    param_scheduler=(poly(),),
    max_iters=20000,
    val_interval=20000,
    selection=LAST,
    test_cfg=dict(mode='whole'),
    test_pipelines=dict(default=fit(1280, 720)),
    not_known=('the protocol of the paper: here a reconstruction, all of it ours',),
)

PROTOCOLS = {
    'lv_adapter': ADAPT,
    'lv_adapter_finetune': replace(ADAPT, optim_wrapper=adamw(1e-4, 0.05, backbone=0.1)),
}
