"""Tiny segmentors and batches for them."""

import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.encoders.tiny import ENCODERS, FOUR_MAPS

LINEAR = dict(type='LinearHead')


MASK2FORMER = dict(
    type='Mask2FormerHead',
    feat_channels=8,
    num_queries=5,
    num_heads=2,
    encoder_layers=1,
    decoder_layers=2,
    encoder_hidden=8,
    decoder_hidden=8,
    norm_groups=4,
    loss=dict(num_points=16),
)


UPER = dict(
    type='UPerHead',
    channels=16,
    pool_scales=(1, 2),
    norm_cfg=dict(type='GN', num_groups=4),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
)


REIN = dict(type='Rein', num_tokens=5, rank=2, query_dims=8)


UNLINKED = {**REIN, 'link_to_queries': False}


KEEP = dict(mode='whole', keep_scores=True)


def build(family='vit', head=LINEAR, peft=REIN, **options):
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft),
        decode_head=head,
        num_classes=4,
    )
    return MODELS.build({**cfg, **options})


def mask2former(family, peft, **options):
    encoder = FOUR_MAPS[family]
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=peft),
            decode_head=MASK2FORMER,
            num_classes=4,
            **options,
        )
    )


def samples(batch, height, width):
    result = []
    for _ in range(batch):
        sample = SegDataSample(metainfo=dict(ori_shape=(height, width), img_shape=(height, width)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, height, width)))
        result.append(sample)
    return result
