"""Stanford Cars: 196 models of cars.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'stanford_cars',
    196,
    type='MMPretrainImages',
    dataset='StanfordCars',
    train='train',
    test='test',
    images=8041,
    data_root='data/Stanford_Cars',
    hint='get it from the copies that torchvision and others name: the page of the authors is gone',
)
