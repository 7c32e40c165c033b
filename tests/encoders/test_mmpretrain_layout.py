"""Encoders as a class of mmpretrain: the same output, or a refusal."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, to_mmpretrain
from rein_seg.errors import UserError
from tests.encoders.plain_vit.official import PLAIN, REGISTERS
from tests.encoders.tiny import ENCODERS
from tests.peft.build import image, relative


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (REGISTERS, 'has no register tokens, this encoder 2'),
        ({**PLAIN, 'final_norm': True}, "norms the last block's output only"),
        (ENCODERS['clip_tower'], 'adds the class embedding once'),
        (ENCODERS['dinov3'], 'no class of mmpretrain computes what TimmEncoder does'),
    ],
    ids=['registers', 'norm', 'clip', 'timm'],
)
def test_encoders_that_mmpretrain_lacks(cfg, message):
    encoder, info = build_encoder(cfg)
    with pytest.raises(UserError, match=message):
        to_mmpretrain(encoder, info.config)


@pytest.mark.parametrize(
    'cfg',
    [
        PLAIN,
        {**PLAIN, 'final_norm': True, 'out_indices': [1]},
        {**ENCODERS['clip_tower'], 'class_embedding_twice': False},
        ENCODERS['convnext'],
    ],
    ids=['dinov2', 'norm', 'clip', 'convnext'],
)
@torch.no_grad()
def test_mmpretrains_class_computes_the_same(cfg):
    encoder, info = build_encoder(cfg)
    tensors, config = to_mmpretrain(encoder, info.config)
    plain = MODELS.build({**config, 'type': f'mmpretrain.{config["type"]}'})
    plain.eval()  # returns None there
    assert type(plain).__module__.startswith('mmpretrain.')
    plain.load_state_dict(tensors, strict=True)
    assert relative(plain(image()), encoder(image())) < 1e-6
