"""FGVC-Aircraft: 100 variants; 50 train, the other 50 are searched.

Classes are divided in the order of their labels. Each test image is searched among all others.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import retrieval_benchmark
from rein_seg.config.protocols.frpt import IMAGES

BENCHMARK = retrieval_benchmark(
    'aircraft',
    50,
    type='AircraftDataset',
    images=(IMAGES['aircraft'], 5000),
    data_root='data/fgvc-aircraft-2013b',
)
