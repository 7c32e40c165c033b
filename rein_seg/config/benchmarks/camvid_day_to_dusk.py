"""CamVid: source day, target dusk, 11 classes, 480x360 frames."""

from __future__ import annotations

from rein_seg.config.definitions import Benchmark, Domain
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK

WINDOW = (256, 256)


def frames(name: str, split: str) -> Domain:
    """Frames of one time of day."""
    return Domain(name=name, type='CamVidDataset', args=dict(split=split))


BENCHMARK = Benchmark(
    name='camvid_day_to_dusk',
    num_classes=11,
    sizes_as='camvid-480x360',
    crop_size=WINDOW,
    test_cfg=dict(mode='slide', crop_size=WINDOW, stride=(104, 224), batch_windows=4),
    data_root='data/camvid',
    train=(frames('day', 'day_train'),),
    val=(frames('day', 'day_val'), frames('dusk', 'dusk_val')),
    source='day',
    targets=('dusk',),
    batch_size=2,
    workers=0,
    train_pipeline=(
        LOAD,
        LABELS,
        dict(
            type='RandomChoiceResize',
            scales=[int(360 * s * 0.1) for s in range(8, 16)],
            resize_type='ResizeShortestEdge',
            max_size=1920,
        ),
        dict(type='FastRandomCrop', crop_size=WINDOW, cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='FastPhotoMetricDistortion'),
        PACK,
    ),
    test_pipeline=(LOAD, LABELS, PACK),
)
