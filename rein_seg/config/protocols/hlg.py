"""The protocol of HLG on Cityscapes: AdamW, the heads at ten times the rate, 768 crops."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.driving import LARGE, crops, fit, slide, warmup

# Zhang et al., arXiv 2207.09339, as its published configs have it.
PROTOCOLS = {
    'hlg768': Protocol(
        crop_size=(768, 768),
        batch_size=2,
        gpus=8,
        train_pipeline=crops(
            768, dict(type='RandomResize', scale=LARGE, ratio_range=(0.5, 2.0), keep_ratio=True)
        ),
        optim_wrapper=dict(
            constructor='TrainableOptimConstructor',
            optimizer=dict(type='AdamW', lr=6e-5, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8),
            paramwise_cfg=dict(prefix_lr_mult={'decode_head.': 10.0, 'auxiliary_head.': 10.0}),
        ),
        param_scheduler=(
            warmup(1500),
            dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=None, by_epoch=False),
        ),
        max_iters=40000,
        val_interval=40000,
        selection=LAST,
        test_cfg=slide(768, 512, 2),
        test_pipelines=dict(default=fit(*LARGE)),
        not_known=(
            'images on each GPU: here 2 on each of 8, 16 together',
            'augmentation, cat_max_ratio: here a factor 0.5 to 2, flip 0.5, PhotoMetricDistortion '
            'and 0.75',
            'betas and eps of AdamW: here its defaults',
        ),
    )
}
