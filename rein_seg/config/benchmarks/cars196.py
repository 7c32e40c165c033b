"""Cars-196: 196 models of cars; 98 train, the other 98 are searched.

Classes are divided in the order of their labels. Each test image is searched among all others.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import retrieval_benchmark
from rein_seg.config.protocols.frpt import IMAGES

BENCHMARK = retrieval_benchmark(
    'cars196',
    98,
    type='Cars196Dataset',
    images=(IMAGES['cars196'], 8131),
    data_root='data/stanford_cars',
)
