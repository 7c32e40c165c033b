"""Roads from above: Massachusetts Roads, 1108 training, 14 validation, 49 test images of 1500x1500.

Official rate: schedules/adamw_conv_lora_3e4.py.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures, prefix
from rein_seg.config.definitions import Domain


def roads(name: str, split: str, images: int) -> Domain:
    """Images of one split."""
    where = prefix('massachusetts_road/tiff/{split}', 'massachusetts_road/tiff/{split}_labels')
    suffixes = dict(img_suffix=('.tiff', '.tif'), seg_map_suffix=('.tif', '.tiff'))
    args = dict(**where, **suffixes, threshold=128, split=split)
    return pictures(name, 'road', args, images=images)


BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='massachusetts_road',
    train=(roads('road_train', 'train', 1108),),
    val=(roads('road_val', 'val', 14),),
    test=(roads('road', 'test', 49),),
    source='road_val',
    targets=('road',),
    selection=dict(metric='road_val/IoU_image', rule='greater'),
    epochs=20,
)
