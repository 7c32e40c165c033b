"""Skin lesions: ISIC 2018, task 1, as downloaded; 2594 training, 100 validation, 1000 test images.

Training and test images are of one kind: the test images are the only target.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.binary_1024 import pictures, prefix
from rein_seg.config.benchmarks.polyp_five import FRAME
from rein_seg.config.definitions import Domain


def lesions(name: str, split: str, images: int) -> Domain:
    """Images of one split."""
    where = prefix(
        'isic2018/ISIC2018_Task1-2_{split}_Input', 'isic2018/ISIC2018_Task1_{split}_GroundTruth'
    )
    suffixes = dict(img_suffix='.jpg', seg_map_suffix='_segmentation.png')
    return pictures(name, 'lesion', dict(**where, **suffixes, split=split), images=images)


BENCHMARK = replace(
    FRAME,
    name='isic2018',
    train=(lesions('isic2018_train', 'Training', 2594),),
    val=(lesions('isic2018_val', 'Validation', 100),),
    test=(lesions('isic2018', 'Test', 1000),),
    source='isic2018_val',
    targets=('isic2018',),
    selection=dict(metric='isic2018_val/Dice_curve', rule='greater'),
)
