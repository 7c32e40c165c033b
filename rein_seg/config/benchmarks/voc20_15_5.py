"""PASCAL VOC without its background: 15 classes are labelled in training, 5 never."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain

UNSEEN = ('pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')


def scenes(name: str, split: str, images: int) -> Domain:
    """Images of one split."""
    return Domain(name=name, type='VOC20Dataset', args=dict(split=split), images=images)


BENCHMARK = Benchmark(
    name='voc20_15_5',
    num_classes=20,
    protocols=('zegclip512_voc', 'zegclip512_voc_transductive', 'zsseg512_voc'),
    train=(scenes('voc20_train', 'train_aug', 10582),),
    val=(scenes('voc20', 'val', 1449),),
    targets=('voc20',),
    unseen=UNSEEN,
    metric={'type': 'SeenUnseenIoU'},
)
