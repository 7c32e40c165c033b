"""Oxford-IIIT Pets: 37 breeds of cats and dogs.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'oxford_pets',
    37,
    type='MMPretrainImages',
    dataset='OxfordIIITPet',
    train='trainval',
    test='test',
    images=3669,
    data_root='data/Oxford-IIIT_Pets',
    hint='get it from robots.ox.ac.uk/~vgg/data/pets',
)
