"""Nuclei: stage1_train of the 2018 Data Science Bowl, as downloaded; 670 images.

A tenth, chosen by a digest of the names, validates, and another tenth is the test.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.polyp_five import FRAME
from rein_seg.config.definitions import Domain

RULE = dict(val=0.1, test=0.1, by='image', seed=0)


def nuclei(name: str, part: str, images: int) -> Domain:
    """Images of one part."""
    args = dict(data_prefix=dict(img_path='dsb2018/stage1_train'), part=part, rule=RULE)
    return Domain(name=name, type='NucleiDataset', args=args, images=images)


BENCHMARK = replace(
    FRAME,
    name='dsb2018',
    train=(nuclei('dsb2018_train', 'train', 536),),
    val=(nuclei('dsb2018_val', 'val', 67),),
    test=(nuclei('dsb2018', 'test', 67),),
    source='dsb2018_val',
    targets=('dsb2018',),
    selection=dict(metric='dsb2018_val/Dice_curve', rule='greater'),
)
