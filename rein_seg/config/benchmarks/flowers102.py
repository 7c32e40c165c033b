"""Oxford 102 Flowers.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'flowers102',
    102,
    type='MMPretrainImages',
    dataset='Flowers102',
    train='trainval',
    test='test',
    images=6149,
    data_root='data/Flowers102',
    hint='get it from robots.ox.ac.uk/~vgg/data/flowers/102',
)
