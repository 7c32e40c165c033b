"""zsseg's protocols: prompts that learn on regions (stage 0), proposals of masks (stage 1)."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.driving import (
    LABELS,
    LOAD,
    PACK,
    adamw,
    crops,
    inside,
    poly,
    shortest_edge,
)
from rein_seg.config.region_benchmark import test_steps, train_steps


def _proposals(side: int, images: int, iterations: int) -> Protocol:
    """Crops of ``side`` pixels, on 8 GPUs with ``images`` each, images of a short side of it."""
    return Protocol(
        crop_size=(side, side),
        batch_size=images,
        gpus=8,
        train_pipeline=crops(side, shortest_edge(side)),
        optim_wrapper={**adamw(1e-4, 1e-4, backbone=0.1), 'clip_grad': dict(max_norm=0.01)},
        param_scheduler=(poly(),),
        max_iters=iterations,
        val_interval=iterations,
        selection=LAST,
        test_cfg=dict(mode='whole'),
        test_pipelines=dict(default=(LOAD, inside(4 * side, side), LABELS, PACK)),
        not_known=(
            f'number of GPUs: here 8 with {images} images each; {8 * images} together is known',
            'power of the poly schedule, betas and eps of AdamW, warm-up: here 0.9, its defaults '
            'and none',
            'parameters without decay: here norms and query embeddings',
            f'resize, augmentation, cat_max_ratio, size of the test images: here {side} times 0.5 '
            f'to 2, flip 0.5, PhotoMetricDistortion, 0.75 and a short side of {side}',
        ),
    )


def _prompts(iterations: int) -> Protocol:
    """32 regions of classes an iteration, the vectors of a prompt alone."""
    return Protocol(
        batch_size=32,
        gpus=1,
        train_pipeline=train_steps(224),
        optim_wrapper=dict(
            constructor='TrainableOptimConstructor',
            optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
        ),
        param_scheduler=(
            dict(type='ConstantLR', factor=0.001, begin=0, end=100, by_epoch=False),
            dict(type='CosineAnnealingLR', eta_min=0.0, begin=0, end=None, by_epoch=False),
        ),
        max_iters=iterations,
        val_interval=iterations,
        selection=LAST,
        test_pipelines=dict(default=test_steps(224)),
        not_known=(
            'number of GPUs: here 1 with 32 images',
            'momentum, rate of the constant warm-up: here 0.9 and a thousandth',
            'ranges of the random crop: here 0.08 to 1 of the box and 3/4 to 4/3',
        ),
    )


# Xu et al., ECCV 2022
PROTOCOLS = {
    'zsseg_prompts_coco': _prompts(16000),
    'zsseg_prompts_voc': _prompts(3200),
    'zsseg640_coco': _proposals(640, 4, 60000),
    'zsseg512_voc': _proposals(512, 2, 20000),
}
