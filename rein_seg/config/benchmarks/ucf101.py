"""UCF101 as still images: the middle frame of each video.

Files and splits as CoOp and its followers have them; trains on a few images of each class.
"""

from __future__ import annotations

from rein_seg.config.image_benchmark import few_shot_benchmark

BENCHMARK = few_shot_benchmark(
    'ucf101',
    101,
    type='ImageFolderDataset',
    folder='UCF-101-midframes',
    ann_file='split_zhou_UCF101.json',
    train='train',
    test='test',
    images=3783,
    data_root='data/ucf101',
    hint='get UCF-101-midframes and the splits from the page of CoOp, github.com/KaiyangZhou/CoOp',
)
