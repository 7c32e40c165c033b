"""Weights come from exactly one source: a file, the hub, or a seed."""

import pytest

from rein_seg.encoders import build_encoder
from rein_seg.errors import UserError
from tests.encoders.timm.official import SIGLIP
from tests.encoders.tiny import ENCODERS


@pytest.mark.parametrize(
    'given',
    [{}, dict(pretrained=True, init_seed=0), dict(init_seed=0, checkpoint='a.pth'),
     dict(pretrained='url')],
)  # fmt: skip
def test_exactly_one_source_of_weights(given):
    cfg = {k: v for k, v in SIGLIP.items() if k != 'init_seed'}
    with pytest.raises(UserError, match='give exactly one of checkpoint'):
        build_encoder({**cfg, **given})


def test_a_file_of_ones_own_comes_before_the_hub():
    cfg = {**SIGLIP, 'init_seed': None, 'pretrained': True, 'checkpoint': 'a.pth'}
    with pytest.raises(UserError, match="'a.pth' does not exist"):
        build_encoder(cfg)


def test_pretrained_needs_a_class_with_hub_ids():
    cfg = {**ENCODERS['vit'], 'init_seed': None, 'pretrained': True}
    with pytest.raises(UserError, match='VisionTransformer has no weights by hub id'):
        build_encoder(cfg)
