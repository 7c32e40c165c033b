"""DuAT's protocol: squares of 352, colours exchanged, three sizes; docs/reference/protocols.md."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.definitions import Protocol
from rein_seg.config.protocols.binary import LABELS, LOAD, PACK

SIDE = 352


def resized(**options: str) -> dict[str, object]:
    """Images squeezed into the square; labels nearest."""
    return dict(type='Resize', scale=(SIDE, SIDE), **options)


def crops(exchange: dict[str, object], resize: dict[str, object]) -> tuple[dict[str, object], ...]:
    """The steps of a training image."""
    flips = [dict(type='RandomFlip', prob=0.2, direction=d) for d in ('horizontal', 'vertical')]
    return (LOAD, LABELS, exchange, resize, *flips, PACK)


# Tang et al., PRCV 2023. One size for each iteration, so three times the iterations.
DUAT352 = Protocol(
    crop_size=(SIDE, SIDE),
    batch_size=16,
    gpus=1,
    train_pipeline=crops(dict(type='LABExchange'), resized()),
    optim_wrapper=dict(
        constructor='TrainableOptimConstructor',
        optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4, betas=(0.9, 0.999), eps=1e-8),
        clip_grad=dict(type='value', clip_value=0.5),
    ),
    param_scheduler=(),
    multi_scale='one',
    test_cfg=dict(mode='whole', keep_scores=True),
    test_pipelines=dict(default=(LOAD, resized(), LABELS, PACK)),
    not_known=('betas and eps of AdamW: here its defaults',),
)

PROTOCOLS = {
    'duat352': DUAT352,
    # three steps a batch, colours that wrap around, images resized to the nearest pixel
    'duat352_official': replace(
        DUAT352,
        train_pipeline=crops(dict(type='LABExchange', wrap=True), resized(interpolation='nearest')),
        multi_scale='each',
    ),
}
