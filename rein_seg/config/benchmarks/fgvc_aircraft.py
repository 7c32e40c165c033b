"""FGVC Aircraft: 100 variants of aircraft.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'fgvc_aircraft',
    100,
    type='MMPretrainImages',
    dataset='FGVCAircraft',
    train='trainval',
    test='test',
    images=3333,
    data_root='data/fgvc-aircraft-2013b',
    hint='get it from robots.ox.ac.uk/~vgg/data/fgvc-aircraft',
)
