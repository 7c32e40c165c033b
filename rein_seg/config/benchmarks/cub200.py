"""CUB-200-2011: 200 species of birds; 100 train, the other 100 are searched.

Classes are divided in the order of their labels. Each test image is searched among all others.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import retrieval_benchmark
from rein_seg.config.protocols.frpt import IMAGES

BENCHMARK = retrieval_benchmark(
    'cub200',
    100,
    type='CUB200Dataset',
    images=(IMAGES['cub200'], 5924),
    data_root='data/CUB_200_2011',
)
