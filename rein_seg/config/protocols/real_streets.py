"""Protocols of this project for small real street data sets: quick to test on two CPU cores."""

from __future__ import annotations

from collections.abc import Sequence

from rein_seg.config.definitions import LAST, Node, Protocol
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK, Steps

# height of the test images -> width of each data set's: nearest to its shape in steps of 32
_WIDTHS = {
    288: dict(camvid=384, kitti=960, bdd=512, drawn=576),
    144: dict(camvid=192, kitti=480, bdd=256, drawn=288),
}


def to_size(width: int, height: int) -> Steps:
    """Resizes an image to a size that encoders take whole; scores are at the label's size."""
    size: Node = dict(type='Resize', scale=(width, height), keep_ratio=False)
    return (LOAD, size, LABELS, PACK)


def streets(height: int, crop: tuple[int, int], edges: Sequence[int]) -> Protocol:
    """Whole test images of one height; crops of images resized around that height.

    Optimizer, rates and iterations are left to the config.

    Args:
        height: Of the test images in pixels.
        crop: (H, W) of training crops.
        edges: Shortest edges of the training images, of which each is taken equally often.
    """
    widths = _WIDTHS[height]
    tested = {name: to_size(width, height) for name, width in widths.items()}
    camvid = tested['camvid']
    return Protocol(
        crop_size=crop,
        batch_size=4,
        train_pipeline=(
            LOAD,
            LABELS,
            dict(
                type='RandomChoiceResize',
                scales=list(edges),
                resize_type='ResizeShortestEdge',
                max_size=1920,
            ),
            dict(type='FastRandomCrop', crop_size=crop, cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='FastPhotoMetricDistortion'),
            PACK,
        ),
        selection=LAST,
        test_cfg=dict(mode='whole'),
        test_pipelines=dict(
            day=camvid,
            dusk=camvid,
            kitti=tested['kitti'],
            bdd=tested['bdd'],
            clear=tested['drawn'],
        ),
    )


PROTOCOLS = {
    'streets288': streets(288, (256, 256), (256, 288, 320, 352, 384, 432)),
    # half as large: for a ViT, whose attention grows with the square of the pixels
    'streets144': streets(144, (128, 192), (144, 160, 176, 192, 216)),
}
