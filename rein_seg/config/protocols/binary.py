"""Conv-LoRA's tasks: images squeezed into a square of 1024, flips, nothing else."""

from __future__ import annotations

from rein_seg.config.definitions import Protocol

LOAD, LABELS = dict(type='LoadDomainImage'), dict(type='LoadLabels')
SQUARE = dict(type='Resize', scale=(1024, 1024), interpolation='bicubic', backend='pillow')
PACK = dict(type='PackDomainInputs')
CROPS = (LOAD, LABELS, SQUARE, dict(type='RandomFlip', prob=0.5), PACK)

PROTOCOLS = {
    # scores at the size of the label's file
    'original': Protocol(
        train_pipeline=CROPS, test_pipelines=dict(default=(LOAD, SQUARE, LABELS, PACK))
    ),
    # officially, scores at 1024x1024
    'square1024': Protocol(
        train_pipeline=CROPS,
        test_pipelines=dict(default=(LOAD, LABELS, SQUARE, dict(type='ScoreAtInputSize'), PACK)),
    ),
}
