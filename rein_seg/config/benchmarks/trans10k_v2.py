"""Transparent things: Trans10K-v2, 5000 training, 1000 validation, 4428 test images.

12 classes with the background. Names and order of the classes, sizes and layout are from memory.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import prefix
from rein_seg.config.definitions import Domain

CLASSES = (
    *('background', 'shelf', 'jar or tank', 'freezer', 'window', 'glass door'),
    *('eyeglass', 'cup', 'glass wall', 'glass bowl', 'water bottle', 'storage box'),
)


def things(name: str, split: str) -> Domain:
    """Images of one split."""
    where = prefix('trans10k_v2/{split}/images', 'trans10k_v2/{split}/masks')
    suffixes = dict(img_suffix='.jpg', seg_map_suffix='_mask.png')
    args = dict(metainfo=dict(classes=CLASSES), **where, **suffixes, split=split)
    return Domain(name=name, type='FolderDataset', args=args)


BENCHMARK = replace(
    binary_1024.BENCHMARK,
    name='trans10k_v2',
    num_classes=12,
    test_cfg=dict(mode='whole', keep_scores=False),
    train=(things('trans10k_train', 'train'),),
    val=(things('trans10k_val', 'validation'),),
    test=(things('trans10k', 'test'),),
    source='trans10k_val',
    targets=('trans10k',),
    metric=dict(type='DomainIoUMetric'),
    test_metric=dict(absent='zero'),  # as officially
    selection=dict(metric='trans10k_val/mIoU', rule='greater'),
    epochs=30,  # of binary tasks; the paper's number for this task was not found
)
