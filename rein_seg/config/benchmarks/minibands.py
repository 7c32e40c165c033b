"""The embedded benchmark of five bands: procedural fields, drawn into data/minibands."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK
from rein_seg.scenes.fields import BANDS

SOURCE, TARGETS = 'summer', ('autumn', 'drought', 'haze', 'dusk')
# of the training images: reflectances times 10000, height in centimetres
MEAN = (1070.0, 1230.0, 810.0, 3030.0, 320.0)
STD = (640.0, 470.0, 490.0, 1560.0, 520.0)


def fields(name: str, split: str, count: int) -> Domain:
    """Images of one domain."""
    return Domain(name=name, type='MiniBandsDataset', args=dict(split=split, count=count))


BENCHMARK = Benchmark(
    name='minibands',
    num_classes=7,
    sizes_as='minibands-128',
    crop_size=(128, 128),
    test_cfg=dict(mode='whole'),
    data_root='data/minibands',
    bands=dict(names=list(BANDS), mean=list(MEAN), std=list(STD)),
    train=(fields(SOURCE, 'train', 300),),
    val=tuple(fields(name, 'val', 40) for name in (SOURCE, *TARGETS)),
    source=SOURCE,
    targets=TARGETS,
    batch_size=4,
    test_batch_size=8,
    workers=0,
    train_pipeline=(
        LOAD,
        LABELS,
        dict(type='RandomFlip', prob=0.5),
        dict(type='BandDistortion'),
        PACK,
    ),
    test_pipeline=(LOAD, LABELS, PACK),
)
