"""Cityscapes -> Cityscapes-C: its val images under 15 corruptions x 5 severities, made at load.

A training run validates on the images as they are; a test scores the 75 domains, 500 images each,
and their plain mean. Needs ``pip install 'rein-seg[corruptions]'``.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import cityscapes_to_urban
from rein_seg.config.benchmarks.gtav_to_urban import streets
from rein_seg.config.definitions import Domain

SOURCE = 'cityscapes'
CORRUPTIONS = (
    *('gaussian_noise', 'shot_noise', 'impulse_noise'),
    *('defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur'),
    *('snow', 'frost', 'fog', 'brightness'),
    *('contrast', 'elastic_transform', 'pixelate', 'jpeg_compression'),
)


def corrupted(name: str, severity: int) -> Domain:
    """Cityscapes' val images under one corruption, with the test pipeline of the source."""
    corruption = (name, severity)
    one = streets(f'{name}_{severity}', SOURCE, split='val', corruption=corruption)
    return replace(one, evaluated_as=SOURCE)


TARGETS = tuple(corrupted(name, severity) for name in CORRUPTIONS for severity in range(1, 6))
BENCHMARK = replace(
    cityscapes_to_urban.BENCHMARK,
    name='cityscapes_to_cityscapes_c',
    val=(streets(SOURCE, split='val'),),
    test=TARGETS,
    targets=tuple(domain.name for domain in TARGETS),
)
