"""Caltech101: 102 kinds of objects, the background among them; lists of mmpretrain.

Trains on a few images of each class; `MMPretrainImages` reads the files as they are downloaded.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'caltech101',
    102,
    type='MMPretrainImages',
    dataset='Caltech101',
    train='train',
    test='test',
    images=6728,
    data_root='data/caltech-101',
    hint='get it from data.caltech.edu/records/mzrjq-6wc02, and the folder meta from '
    'mmassets.onedl.ai/mmpretrain/datasets/caltech_meta.zip',
    names={
        'BACKGROUND_Google': ['background'],
        'Faces': ['face'],
        'Faces_easy': ['easy face'],
        'Leopards': ['leopard'],
        'Motorbikes': ['motorbike'],
        'airplanes': ['airplane'],
    },
)
