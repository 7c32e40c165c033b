"""ADE20K: 20210 training, 2000 validation images of all kinds of scenes, 150 classes.

Papers train and test on the same kind of images: the validation images are the only target.
"""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain


def scenes(name: str, split: str, images: int) -> Domain:
    """Images of one split."""
    return Domain(name=name, type='ADEChallengeDataset', args=dict(split=split), images=images)


BENCHMARK = Benchmark(
    name='ade20k',
    num_classes=150,
    protocols=('pvt512', 'setr512', 'ftn512', 'denseclip512', 'denseclip640'),
    train=(scenes('ade20k_train', 'training', 20210),),
    val=(scenes('ade20k', 'validation', 2000),),
    targets=('ade20k',),
)
