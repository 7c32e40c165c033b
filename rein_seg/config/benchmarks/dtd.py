"""Describable Textures: 47 attributes of textures.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'dtd',
    47,
    type='MMPretrainImages',
    dataset='DTD',
    train='trainval',
    test='test',
    images=1880,
    data_root='data/dtd',
    hint='get it from robots.ox.ac.uk/~vgg/data/dtd',
)
