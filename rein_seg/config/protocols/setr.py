"""Protocols of SETR on Cityscapes and ADE20K: SGD without decay, slid windows."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.definitions import LAST, Node, Protocol
from rein_seg.config.protocols.ade20k import RESIZE
from rein_seg.config.protocols.driving import LARGE, crops, fit, slide

# officially names with "head" have ten times the rate; the neck of MLA is in the backbone there
_RATES = {
    'decode_head.decoder.mla.': 1.0,
    'decode_head.decoder.norm_': 1.0,
    'decode_head.': 10.0,
    'auxiliary_head.': 10.0,
}
_UNSAID = (
    'images on each GPU',
    'augmentation, cat_max_ratio: here flip 0.5, PhotoMetricDistortion and 0.75',
)


def sgd(lr: float) -> Node:
    """SGD without weight decay, ten times the rate for heads."""
    return dict(
        constructor='TrainableOptimConstructor',
        optimizer=dict(type='SGD', lr=lr, momentum=0.9, weight_decay=0.0),
        paramwise_cfg=dict(prefix_lr_mult=_RATES),
    )


_POLY = dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=None, by_epoch=False)

# Zheng et al., CVPR 2021, Naive and PUP.
SETR768 = Protocol(
    crop_size=(768, 768),
    batch_size=1,
    gpus=8,
    train_pipeline=crops(
        768, dict(type='RandomResize', scale=LARGE, ratio_range=(0.5, 2.0), keep_ratio=True)
    ),
    optim_wrapper=sgd(0.01),
    param_scheduler=(_POLY,),
    max_iters=80000,
    val_interval=8000,
    selection=LAST,
    test_cfg=slide(768, 512, 2),
    test_pipelines=dict(default=fit(*LARGE)),
    not_known=(f'{_UNSAID[0]}: here 1 on each of 8, 8 together', _UNSAID[1]),
)
SETR512 = replace(
    SETR768,
    crop_size=(512, 512),
    batch_size=2,
    train_pipeline=crops(512, RESIZE),
    optim_wrapper=sgd(0.001),
    max_iters=160000,
    val_interval=16000,
    test_cfg=slide(512, 341, 8),
    test_pipelines=dict(default=fit(2048, 512)),
    not_known=(f'{_UNSAID[0]}: here 2 on each of 8, 16 together', _UNSAID[1]),
)

PROTOCOLS = {
    'setr768': SETR768,
    'setr768_mla': replace(SETR768, optim_wrapper=sgd(0.002)),
    'setr512': SETR512,
}
