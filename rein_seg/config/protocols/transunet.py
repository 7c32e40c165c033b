"""The protocol of CASTformer on Synapse: slices as TransUNet reads them, at 224x224."""

from __future__ import annotations

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.ade20k import plain_adamw
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK, poly

# cubic for images; labels are resized with the nearest pixel
SQUARE = dict(type='Resize', scale=(224, 224), keep_ratio=False, interpolation='bicubic')

# You et al., NeurIPS 2022, on the data of Chen et al., 2021.
PROTOCOLS = {
    'transunet224': Protocol(
        crop_size=(224, 224),
        batch_size=6,
        gpus=1,
        train_pipeline=(LOAD, LABELS, dict(type='TurnOrRotate'), SQUARE, PACK),
        optim_wrapper=plain_adamw(5e-4, 1e-4),
        param_scheduler=(poly(),),
        max_iters=110550,
        val_interval=110550,
        selection=LAST,
        test_cfg=dict(mode='whole', resize='nearest'),
        # slice by slice, scored at the size of the file
        test_pipelines=dict(default=(LOAD, SQUARE, LABELS, PACK)),
        not_known=(
            'length in iterations: here 300 epochs of 2211 slices in batches of 6',
            'weight decay and schedule: here 1e-4 and poly 0.9',
            'number of GPUs: here 1',
        ),
    )
}
