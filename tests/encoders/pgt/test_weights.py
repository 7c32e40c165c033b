"""Files of PGT: below a prefix, beside heads, of other sizes."""

import pytest
import torch

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.pgt import PGT
from rein_seg.errors import UserError
from tests.encoders.files import load
from tests.encoders.tiny import ENCODERS, image

CFG = ENCODERS['pgt']


def state():
    encoder, _ = build_encoder({**CFG, 'init_seed': 3})
    return encoder, {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def segmentor(tensors):
    """A checkpoint of mmsegmentation."""
    inside = {f'backbone.{name}': tensor for name, tensor in tensors.items()}
    others = {
        name: torch.ones(2, 2)
        for name in (
            'neck.lateral_convs.0.conv.weight',
            'decode_head.branches.0.0.0.attn.q.weight',
            'auxiliary_head.0.conv_seg.weight',
        )
    }
    return {'state_dict': {**inside, **others}}


@pytest.mark.parametrize('layout', [dict, segmentor])
def test_a_file_loads(layout, tmp_path):
    encoder, tensors = state()
    loaded = load(CFG, layout(tensors), tmp_path)
    with torch.no_grad():
        for x, y in zip(encoder(image()), loaded(image()), strict=True):
            assert torch.equal(x, y)


def test_names_without_use_are_listed():
    encoder, tensors = state()
    fewer, _ = build_encoder({**CFG, 'out_indices': [1]})
    converted = convert_weights(fewer, segmentor(tensors)['state_dict'])
    assert set(converted.left_out) == {
        'neck.lateral_convs.0.conv.weight',
        'decode_head.branches.0.0.0.attn.q.weight',
        'auxiliary_head.0.conv_seg.weight',
        'norm0.weight',
        'norm0.bias',
    }
    assert converted.tensors.keys() == fewer.state_dict().keys()


@pytest.mark.parametrize(
    ('other', 'own', 'message'),
    [
        (dict(embed_dims=96), 'tiny', r'is a PGT small: width 96.*a PGT tiny: width 64'),
        (
            dict(embed_dims=96, depths=[2, 2, 18, 2]),
            'small',
            r'PGT base: width 96, blocks \[2, 2, 18',
        ),
        (dict(embed_dims=32), 'tiny', 'PGT of no usual size: width 32'),
    ],
)
def test_a_file_of_another_size_is_named(other, own, message):
    arch = dict(
        embed_dims=64, depths=[2, 2, 6, 2], num_heads=[1, 1, 1, 1], group_nums=[64, 16, 1, 1]
    )
    with torch.device('meta'):
        tensors, encoder = PGT({**arch, **other}).state_dict(), PGT(own)
    with pytest.raises(UserError, match=message):
        convert_weights(encoder, tensors)


def test_a_file_of_another_network(tmp_path):
    with pytest.raises(UserError, match=r'0/\d+ tensors, 1 unexpected'):
        load(CFG, {'layers.0.weight': torch.ones(2)}, tmp_path)
