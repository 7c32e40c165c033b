"""A small Mask2Former head, its maps and labels."""

import torch

from rein_seg.heads import Mask2FormerHead
from rein_seg.structures import Features

TINY = dict(
    num_classes=3,
    feat_channels=16,
    num_queries=5,
    num_heads=2,
    encoder_layers=1,
    decoder_layers=4,
    encoder_hidden=8,
    decoder_hidden=8,
    norm_groups=4,
    loss=dict(num_points=20),
)


def build(**options):
    torch.manual_seed(0)
    return Mask2FormerHead([6, 7, 8, 9], **{**TINY, **options})


def features(stride=None, batch=2, queries=None, height=64, width=96):
    strides = [stride] * 4 if stride else [4, 8, 16, 32]
    generator = torch.Generator().manual_seed(1)
    maps = tuple(
        torch.randn(batch, c, height // s, width // s, generator=generator)
        for c, s in zip([6, 7, 8, 9], strides, strict=True)
    )
    return Features(maps, queries)


def draw_labels(batch=2, height=64, width=96):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 3, (batch, height, width), generator=generator)
