"""Building an encoder: its anatomy is found, bad configs are explained, its identity is one."""

import pytest
from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS


def test_unknown_class_names_the_known_ones_and_how_to_add_one():
    class ConvNext(nn.Module):
        pass

    with pytest.raises(UserError, match=r"did you mean 'ConvNeXt'\?.*@register_anatomy"):
        find_anatomy(ConvNext())


def test_subclass_does_not_inherit_an_anatomy():
    eva = MODELS.build(
        dict(
            type='mmpretrain.ViTEVA02',
            arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64),
            img_size=32,
            out_type='featmap',
        )
    )
    with pytest.raises(UserError, match='ViTEVA02'):
        find_anatomy(eva)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(out_indices=[1, 3]), 'out_indices=.1, 3. goes beyond the encoder: it has 3 blocks'),
        (dict(out_indices=[1, 9]), 'Invalid out_indices 9'),
        (dict(out_indices=[2, 0]), 'must rise'),
        (dict(init_cfg=dict(type='Pretrained')), 'init_cfg=.* no effect: give checkpoint=FILE'),
        (dict(init_seed=None), 'give exactly one of checkpoint'),
        (dict(init_seed=None, checkpoint='none.pth'), "'none.pth' does not exist"),
    ],
)
def test_bad_encoder_config(change, message):
    with pytest.raises(UserError, match=message):
        encoder, _ = build_encoder({**ENCODERS['vit'], **change})
        find_anatomy(encoder)


@pytest.mark.parametrize(
    'spelling',
    [
        dict(patch_size=16),
        dict(num_registers=0),
        dict(final_norm=False),
        dict(img_size=(64, 64)),
        dict(type='mmseg.DINOv2'),
        dict(out_indices=[0, 1]),
        dict(interpolate_offset=0.1),
    ],
)
def test_the_same_encoder_has_one_identity_however_it_is_spelled(spelling):
    tiny = dict(
        type='DINOv2',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=16),
        img_size=64,
        init_seed=0,
    )
    identity = build_encoder(tiny)[1].identity
    assert build_encoder({**tiny, **spelling})[1].identity == identity
    for other in (dict(num_registers=1), dict(img_size=32), dict(out_indices=[1])):
        assert build_encoder({**tiny, **other})[1].identity != identity


def test_a_type_that_does_not_exist():
    with pytest.raises(UserError, match="type='DINOv9' is not registered; did you mean 'DINOv2'"):
        build_encoder(dict(type='DINOv9', init_seed=0))
