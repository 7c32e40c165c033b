"""Own images: folders ``train`` and ``val`` with a folder for each class, whose names are read."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.image_benchmark import test_steps, train_steps


def part(split: str) -> Domain:
    """Returns a part of the folder."""
    return Domain(name='images', type='ImageFolderDataset', args=dict(split=split))


BENCHMARK = Benchmark(
    name='image_folder',
    num_classes=None,  # as many as there are folders
    sizes_as='image_folder-224',
    data_root='data/images',
    train=(part('train'),),
    val=(part('val'),),
    targets=('images',),
    metric={'type': 'ImageAccuracy'},
    batch_size=16,
    test_batch_size=16,
    workers=2,
    train_pipeline=train_steps(224, least=0.5),
    test_pipeline=test_steps(224),
)
