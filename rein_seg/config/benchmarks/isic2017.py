"""Skin lesions: ISIC 2017, part 1; 2000 training, 150 validation, 600 test images.

The superpixels (png) that lie beside the images (jpg) are left alone.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures, prefix
from rein_seg.config.definitions import Domain


def lesions(name: str, split: str, images: int) -> Domain:
    """Images of one split."""
    where = prefix(
        'isic2017/ISIC-2017_{split}_Data', 'isic2017/ISIC-2017_{split}_Part1_GroundTruth'
    )
    suffixes = dict(img_suffix='.jpg', seg_map_suffix='_segmentation.png')
    return pictures(name, 'lesion', dict(**where, **suffixes, split=split), images=images)


BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='isic2017',
    train=(lesions('isic2017_train', 'Training', 2000),),
    val=(lesions('isic2017_val', 'Validation', 150),),
    test=(lesions('isic2017', 'Test_v2', 600),),
    source='isic2017_val',
    targets=('isic2017',),
    selection=dict(metric='isic2017_val/IoU_image', rule='greater'),
    epochs=30,
)
