"""Food-101.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'food101',
    101,
    type='MMPretrainImages',
    dataset='Food101',
    train='train',
    test='test',
    images=25250,
    data_root='data/food-101',
    hint='get it from data.vision.ee.ethz.ch/cvl/datasets_extra/food-101',
)
