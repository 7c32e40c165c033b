"""SUN397: scenes; the first of its ten divisions.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'sun397',
    397,
    type='MMPretrainImages',
    dataset='SUN397',
    train='train',
    test='test',
    images=19850,
    data_root='data/SUN397',
    hint='get it from vision.princeton.edu/projects/2010/SUN',
)
