"""The protocol of FTN on ADE20K: AdamW, the heads at twice the rate, slid windows."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.ade20k import RESIZE
from rein_seg.config.protocols.driving import crops, fit, slide, warmup

_UNDECAYED = ('norm', 'cpe', 'ape_embeds')

# Wu et al., arXiv 2106.04108, as the pull request's configs have it.
PROTOCOLS = {
    'ftn512': Protocol(
        crop_size=(512, 512),
        batch_size=2,
        gpus=8,
        train_pipeline=crops(512, RESIZE),
        optim_wrapper=dict(
            constructor='TrainableOptimConstructor',
            optimizer=dict(type='AdamW', lr=4e-5, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8),
            paramwise_cfg=dict(
                norm_decay_mult=0.0,
                custom_keys={name: dict(decay_mult=0.0) for name in _UNDECAYED},
                prefix_lr_mult={'decode_head.': 2.0, 'auxiliary_head.': 2.0},
            ),
        ),
        param_scheduler=(
            warmup(1500),
            dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=None, by_epoch=False),
        ),
        max_iters=160000,
        val_interval=16000,
        selection=LAST,
        test_cfg=slide(512, 341, 8),
        test_pipelines=dict(default=fit(2048, 512)),
        not_known=(
            'images on each GPU: here 2 on each of 8, 16 together',
            'augmentation, cat_max_ratio: here flip 0.5, PhotoMetricDistortion and 0.75',
            'betas and eps of AdamW: here its defaults',
        ),
    )
}
