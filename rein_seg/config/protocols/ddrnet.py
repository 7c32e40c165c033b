"""The protocol of DDRNet on Cityscapes: SGD, 1024 crops, whole images."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.driving import LARGE, crops, fit, poly

# Hong, Pan et al., arXiv 2101.06085, as mmsegmentation's config trains it.
PROTOCOLS = {
    'ddrnet1024': Protocol(
        crop_size=(1024, 1024),
        batch_size=6,
        gpus=2,
        train_pipeline=crops(
            1024, dict(type='RandomResize', scale=LARGE, ratio_range=(0.5, 2.0), keep_ratio=True)
        ),
        optim_wrapper=dict(
            constructor='TrainableOptimConstructor',
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
        ),
        param_scheduler=(poly(),),
        max_iters=120000,
        val_interval=12000,
        selection=LAST,
        test_cfg=dict(mode='whole'),
        test_pipelines=dict(default=fit(*LARGE)),
    )
}
