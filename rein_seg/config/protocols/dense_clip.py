"""Protocols of DenseCLIP on ADE20K: AdamW, the image encoder at a tenth of the rate, windows."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.definitions import LAST, Node, Protocol
from rein_seg.config.protocols.driving import crops, fit, slide, warmup


def resized(side: int) -> Node:
    """Resizes into 2048 x ``side``, times 0.5 to 2."""
    return dict(
        type='RandomResize',
        scale=(2048, side),
        ratio_range=(0.5, 2.0),
        resize_type='Resize',
        keep_ratio=True,
    )


# Rao et al., CVPR 2022, ResNet. The longest key wins, so that "norm" holds for the norms of the
# context decoder alone; officially the pyramid of a ViT is a part of its backbone.
DENSECLIP512 = Protocol(
    crop_size=(512, 512),
    batch_size=4,
    gpus=8,
    train_pipeline=crops(512, resized(512)),
    optim_wrapper=dict(
        constructor='TrainableOptimConstructor',
        optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4, betas=(0.9, 0.999), eps=1e-8),
        paramwise_cfg=dict(
            custom_keys={
                'backbone': dict(lr_mult=0.1),
                'neck.pyramid': dict(lr_mult=0.1),
                'norm': dict(decay_mult=0.0),
            }
        ),
    ),
    # the warm-up multiplies the poly schedule, which runs from the first iteration
    param_scheduler=(
        warmup(1500),
        dict(type='PolyLR', eta_min=1e-6, power=0.9, begin=0, end=None, by_epoch=False),
    ),
    max_iters=80000,
    val_interval=8000,
    selection=LAST,
    test_cfg=slide(512, 341, 8),
    test_pipelines=dict(default=fit(2048, 512)),
    not_known=('cat_max_ratio of the crops, betas and eps of AdamW: here 0.75 and its defaults',),
)

PROTOCOLS = {
    'denseclip512': DENSECLIP512,
    # ViT-B/16
    'denseclip640': replace(
        DENSECLIP512,
        crop_size=(640, 640),
        train_pipeline=crops(640, resized(640)),
        test_cfg=slide(640, 426, 8),
        test_pipelines=dict(default=fit(2048, 640)),
    ),
}
