"""zsseg's protocols of its first stage: the encoder at a tenth of the rate, gradients clipped."""

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


# Xu et al., ECCV 2022
PROTOCOLS = {
    'zsseg640_coco': _proposals(640, 4, 60000),
    'zsseg512_voc': _proposals(512, 2, 20000),
}
