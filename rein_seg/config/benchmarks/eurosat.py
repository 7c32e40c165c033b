"""EuroSAT: land use in images of Sentinel-2, RGB.

Files and splits as CoOp and its followers have them; trains on a few images of each class.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'eurosat',
    10,
    type='ImageFolderDataset',
    folder='2750',
    ann_file='split_zhou_EuroSAT.json',
    train='train',
    test='test',
    images=8100,
    data_root='data/eurosat',
    hint='get the images (EuroSAT_RGB) from zenodo.org/records/7711810, the splits from the page '
    'of CoOp, github.com/KaiyangZhou/CoOp',
)
