"""Mona alone."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import Mona
from rein_seg.peft.context import Context
from rein_seg.peft.methods.mona import ScaleConvs
from rein_seg.structures import StreamSite
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', **peft):
    peft = dict(type='Mona', **peft)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft))


def test_size_is_the_published_one():
    """133 C + 9728 each, two a block: 7.0 M on ViT-L."""
    layers = backbone().peft.layers
    assert len(layers) == 6
    assert all(sum(p.numel() for p in la.parameters()) == 133 * 32 + 9728 for la in layers.values())
    assert pytest.approx(7.0e6, rel=0.01) == 24 * 2 * (133 * 1024 + 9728)


def test_one_convolution_computes_the_three():
    convs, d = ScaleConvs(6), torch.randn(2, 6, 5, 4)
    e = d + (convs.conv1(d) + convs.conv2(d) + convs.conv3(d)) / 3
    torch.testing.assert_close(convs(d), e + convs.projector(e))


@pytest.mark.parametrize('prefix', ['skip', 'pointwise'])
def test_prefix_tokens(prefix):
    model = backbone(prefix=prefix, hidden_dims=8).eval()
    site = model.anatomy.find(StreamSite, where='mid')[0]
    model.anatomy.state.grid = (2, 3)
    layer, x = model.peft.layers['mid_0'], torch.randn(2, 1 + 6, 32)
    with torch.no_grad():
        delta = layer(x, Context(site, 'NLC', model.anatomy))
        normed = layer.norm(x) * layer.gamma + x * layer.gammax
        alone = layer.project2(F.gelu(layer.project1(normed)))[:, 0]
    expected = alone if prefix == 'pointwise' else torch.zeros(2, 32)
    torch.testing.assert_close(delta[:, 0], expected)
    assert delta[:, 1:].abs().min() > 0


def test_one_layer_a_block_where_there_is_no_middle():
    assert list(backbone('convnext').peft.layers) == ['out_0', 'out_1', 'out_2']


@pytest.mark.parametrize(
    ('change', 'message'),
    [(dict(hidden_dims=0), 'hidden_dims=0'), (dict(prefix='all'), "prefix='all': expected skip")],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        Mona(**change)
