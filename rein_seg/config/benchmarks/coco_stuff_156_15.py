"""COCO-Stuff 164k: 156 classes are labelled in training, 15 never."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain

UNSEEN = (
    'cow', 'giraffe', 'suitcase', 'frisbee', 'skateboard', 'carrot', 'scissors', 'cardboard',
    'clouds', 'grass', 'playingfield', 'river', 'road', 'tree', 'wall-concrete',
)  # fmt: skip


def scenes(name: str, split: str, images: int) -> Domain:
    """Images of one split."""
    return Domain(name=name, type='COCOStuff164kDataset', args=dict(split=split), images=images)


BENCHMARK = Benchmark(
    name='coco_stuff_156_15',
    num_classes=171,
    protocols=('zegclip512_coco', 'zegclip512_coco_transductive', 'zsseg640_coco'),
    train=(scenes('coco_stuff_train', 'train', 118287),),
    val=(scenes('coco_stuff', 'val', 5000),),
    targets=('coco_stuff',),
    unseen=UNSEEN,
    metric={'type': 'SeenUnseenIoU'},
)
