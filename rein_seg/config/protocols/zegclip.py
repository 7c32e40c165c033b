"""ZegCLIP's protocols: crops of 512, one rate for prompts and head, windows of 512."""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.definitions import LAST, Protocol
from rein_seg.config.protocols.ade20k import RESIZE, plain_adamw
from rein_seg.config.protocols.driving import LABELS, LOAD, PACK, crops, inside, slide, warmup

# the warm-up multiplies it
_POLY = dict(type='PolyLR', eta_min=1e-6, power=0.9, begin=0, end=None, by_epoch=False)

# Zhou et al., CVPR 2023. Officially 2e-5, times 10 for prompts and head.
ZEGCLIP_VOC = Protocol(
    crop_size=(512, 512),
    batch_size=4,
    gpus=4,
    train_pipeline=crops(512, RESIZE),
    optim_wrapper=plain_adamw(2e-4, 0.01),
    param_scheduler=(warmup(1500), _POLY),
    max_iters=20000,
    val_interval=20000,
    selection=LAST,
    test_cfg=slide(512, 426, 4),
    # the short side is 512 however long the other
    test_pipelines=dict(default=(LOAD, inside(2**15, 512), LABELS, PACK)),
)


def _long(iterations: int) -> Protocol:
    return replace(ZEGCLIP_VOC, max_iters=iterations, val_interval=iterations)


# transductive: the second half of the iterations, from the inductive weights of the first
PROTOCOLS = {
    'zegclip512_voc': ZEGCLIP_VOC,
    'zegclip512_coco': _long(80000),
    'zegclip512_voc_transductive': _long(10000),
    'zegclip512_coco_transductive': _long(40000),
}
