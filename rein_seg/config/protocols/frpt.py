"""Protocols of FRPT on CUB-200, Cars-196 and Aircraft: the paper's, and its repository's."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Pipeline, Protocol
from rein_seg.config.image_benchmark import LOAD, PACK

EPOCHS = 500
# images of the training classes
IMAGES = {'cub200': 5864, 'cars196': 8054, 'aircraft': 5000}

_EDGE = dict(type='Resize', scale=(256, 256), keep_ratio=False)
_FLIP = dict(type='RandomFlip', prob=0.5)
_TEST = (LOAD, _EDGE, dict(type='mmpretrain.CenterCrop', crop_size=224), PACK)


def crops(least: float, *, jitter: float | None = None) -> Pipeline:
    """Random crops of at least a share of the squeezed image, flipped half of the time.

    Args:
        least: Share of the area.
        jitter: Of brightness, contrast and saturation; None for none.
    """
    crop = dict(type='mmpretrain.RandomResizedCrop', scale=224, crop_ratio_range=(least, 1.0))
    colour = dict(
        type='mmpretrain.ColorJitter', brightness=jitter, contrast=jitter, saturation=jitter
    )
    return (LOAD, _EDGE, crop, _FLIP, *([colour] if jitter else []), PACK)


def paper(images: int) -> Protocol:
    """Wang et al., AAAI 2023: SGD in batches of 32, the rate times 0.9 every 50 epochs.

    Args:
        images: Of the training classes.
    """
    epoch = -(-images // 32)
    return Protocol(
        batch_size=32,
        gpus=1,
        train_pipeline=crops(0.16),
        optim_wrapper=dict(
            constructor='TrainableOptimConstructor',
            optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4),
        ),
        param_scheduler=(
            dict(type='StepLR', step_size=50 * epoch, gamma=0.9, begin=0, end=None, by_epoch=False),
        ),
        max_iters=EPOCHS * epoch,
        val_interval=10 * epoch,
        selection=LAST,
        test_pipelines=dict(default=_TEST),
        not_known=(
            'augmentation and size of images: here as in the repository, without jitter',
            'which checkpoint is scored: here the last',
            'number of GPUs: here 1',
        ),
    )


def repository(images: int) -> Protocol:
    """The recipe of the code: SGD without momentum in batches of 256, cosine to 2e-5.

    Args:
        images: Of the training classes.
    """
    epoch = -(-images // 256)
    last = EPOCHS * epoch
    return Protocol(
        batch_size=256,
        gpus=1,
        train_pipeline=crops(0.16, jitter=0.25),
        optim_wrapper=dict(
            constructor='TrainableOptimConstructor',
            optimizer=dict(type='SGD', lr=0.02, momentum=0.0, weight_decay=5e-4),
            paramwise_cfg=dict(bias_decay_mult=0.0),
            clip_grad=dict(max_norm=5.0),
        ),
        param_scheduler=(
            dict(type='LinearLR', start_factor=0.1, begin=0, end=1000, by_epoch=False),
            dict(type='CosineAnnealingLR', eta_min=2e-5, begin=1000, end=None, by_epoch=False),
        ),
        max_iters=last,
        val_interval=10 * epoch,
        selection=LAST,
        test_pipelines=dict(default=_TEST),
        left_out=dict(training=('mixed precision: set optim_wrapper.type=AmpOptimWrapper',)),
        not_known=(
            'norm at which gradients are clipped: here 5',
            'which checkpoint is scored: here the last',
            'number of GPUs: here 1',
        ),
    )


PROTOCOLS = {
    f'{name}_{data}': make(images)
    for data, images in IMAGES.items()
    for name, make in (('frpt', paper), ('frpt_repository', repository))
}
