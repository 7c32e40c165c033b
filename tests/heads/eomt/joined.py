"""EoMT with every method on every plain vision transformer: what its tests share."""

from types import SimpleNamespace

import pytest
import torch

from rein_seg.heads import EoMTHead
from rein_seg.models.windows import slide
from rein_seg.registry import method_class
from tests.encoders.tiny import ENCODERS, with_norm
from tests.peft.cases import CASES
from tests.peft.contract import build, families, needed

# Perception Encoder's spatial towers have no final norm
PLAIN = (
    'vit',
    'vit_without_cls',
    'dinov2',
    'dinov2_swiglu',
    'clip',
    'dinov2_registers',
    'vit_tiny',
    'tiny_clip',
    'vit_setr',
    'vit_setr_mla',
    'clip_tower',
    'clip_joint',
    'dinov3',
    'eva02',
    'beit',
    'aimv2',
)
QUERIES, CLASSES = 5, 3


def marks(case, family):
    """The first row always runs for the first variant of a method, all others with the matrix."""
    same = [each for each in CASES if kind(each) == kind(case)]
    first = case is same[0] and family == next(name for name in PLAIN if name in families(case))
    return [*needed(case), *([] if first else [pytest.mark.whole_matrix])]


def kind(case):
    """Returns the name of a method; a list of methods has the name of its case."""
    return case.cfg['type'] if isinstance(case.cfg, dict) else case.name


def moves_pixels(case):
    """Whether the case is of FRPT, which a model that labels pixels refuses."""
    methods = [case.cfg] if isinstance(case.cfg, dict) else case.cfg
    return any(method_class(method['type']).moves_pixels for method in methods)


PAIRS = [
    pytest.param(case, family, id=f'{case.name}-{family}', marks=marks(case, family))
    for case in CASES
    for family in PLAIN
    if family in families(case) and not moves_pixels(case)
]
on_every_pair = pytest.mark.parametrize(('case', 'family'), PAIRS)


def wide(cfg, width):
    """Returns the config of a method, or of several, whose queries are as wide as the stream."""
    if isinstance(cfg, list):
        return [wide(each, width) for each in cfg]
    return {**cfg, 'query_dims': width} if 'query_dims' in cfg else cfg


def joined(case, family, *, probability=1.0, upscale=None, peft=None, **options):
    """Builds a backbone with a head that has joined it, both in evaluation mode."""
    encoder = with_norm(ENCODERS[family])
    sizes = encoder.get('arch', {}) | encoder.get('model_args', {})
    width = sizes.get('embed_dims', sizes.get('embed_dim'))
    peft = wide(case.cfg if peft is None else peft, width)
    backbone = build(case, family, encoder=encoder, peft=peft, **options)
    torch.manual_seed(2)
    head = EoMTHead(
        width,
        num_classes=CLASSES,
        in_strides=backbone.anatomy.out_strides,
        query_dims=backbone.query_dims,
        num_queries=QUERIES,
        num_blocks=2,
        upscale_channels=upscale,
    )
    head.attn_mask_probs.fill_(probability)
    backbone.join(head)
    return SimpleNamespace(backbone=backbone.eval(), head=head.eval())


def predictions(model, images):
    """Returns all predictions as one list of tensors, and the features."""
    features = model.backbone(images)
    return [x for pair in model.head.predictions(features) for x in pair], features


def windows(model, images, number):
    """Returns the scores of windows of half an image, ``number`` of them in one pass."""
    return slide(
        images,
        lambda x: model.head.predict(model.backbone(x), tuple(x.shape[-2:])),
        CLASSES,
        crop_size=(32, 32),
        stride=(32, 16),
        at_once=number,
        divisor=model.backbone.anatomy.divisor,
        least=model.backbone.anatomy.smallest_side,
    )
