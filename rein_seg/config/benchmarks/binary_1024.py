"""The frame of Conv-LoRA's tasks: one thing and its background, in squares of 1024 pixels.

A task, or a benchmark of a user's own, names its data sets. None says a pipeline: they take the
protocol's.
"""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain, Node

BENCHMARK = Benchmark(
    name='binary_1024',
    num_classes=2,
    protocols=('original', 'square1024'),
    crop_size=(1024, 1024),
    test_cfg=dict(mode='whole', keep_scores=True),
    batch_size=4,
    metric=dict(type='BinarySegMetric'),
)


def prefix(images: str, labels: str) -> Node:
    """Folders of a data set below the data root."""
    return dict(data_prefix=dict(img_path=images, seg_map_path=labels))


def pictures(name: str, thing: str, args: Node, *, images: int | None = None) -> Domain:
    """Pictures of one thing and their masks.

    Args:
        name: Of the domain.
        thing: Name of the class beside ``background``.
        args: Where they lie and how they are read.
        images: Their number, as remembered.
    """
    said = dict(metainfo=dict(classes=('background', thing)), **args)
    return Domain(name=name, type='BinaryFolderDataset', args=said, images=images)
