"""Synapse: eight abdominal organs in CT; 18 training volumes (2211 slices), 12 test volumes.

Papers train and test on the same kind of images: the test volumes are the only target. Published
scores count missing classes as TransUNet does: test_evaluator.missing=transunet.
"""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain


def volumes(name: str, split: str, images: int | None = None) -> Domain:
    """Slices of one split."""
    return Domain(name=name, type='SynapseVolumeDataset', args=dict(split=split), images=images)


BENCHMARK = Benchmark(
    name='synapse',
    num_classes=9,
    protocols=('transunet224',),
    data_root='data/synapse',
    train=(volumes('synapse_train', 'train', 2211),),
    val=(volumes('synapse', 'test'),),
    targets=('synapse',),
    metric=dict(type='VolumeSegMetric', missing='skip'),
    test_batch_size=8,
)
