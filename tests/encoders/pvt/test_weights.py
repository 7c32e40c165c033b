"""Files of PVT: left-out tensors, prefixes, other variants."""

import pytest
import torch

from rein_seg.encoders import build_encoder
from rein_seg.encoders.pvt import PVT
from rein_seg.encoders.pvt.weights import convert_pvt
from rein_seg.errors import UserError
from tests.encoders.pvt.sizes import V1, V2


def classifier(arch, **options):
    """The tensors of an official file."""
    state = PVT(arch, **options).state_dict()
    state |= {'head.weight': torch.ones(10, 16), 'head.bias': torch.ones(10)}
    if arch['version'] == 'v1':
        state |= {'cls_token': torch.ones(1, 1, 16)}
        state |= {f'norm.{leaf}': torch.ones(16) for leaf in ('weight', 'bias')}
    return state


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.'])
@pytest.mark.parametrize('arch', [V1, V2])
def test_a_classifier_loads_without_its_head(arch, prefix, tmp_path, caplog):
    state = {prefix + name: tensor for name, tensor in classifier(arch).items()}
    torch.save({'state_dict': state}, tmp_path / 'pvt.pth')
    encoder, _ = build_encoder(dict(type='PVT', arch=arch, checkpoint=str(tmp_path / 'pvt.pth')))
    own = encoder.state_dict()
    assert all(torch.equal(state[prefix + name], tensor) for name, tensor in own.items())


def test_left_out_tensors_are_named():
    expected = {'head.weight', 'head.bias', 'cls_token', 'norm.weight', 'norm.bias'}
    assert set(convert_pvt(PVT(V1), classifier(V1)).left_out) == expected
    assert set(convert_pvt(PVT(V2), classifier(V2)).left_out) == {'head.weight', 'head.bias'}


@pytest.mark.parametrize(
    ('file', 'own', 'message'),
    [
        (dict(arch='v1_tiny'), dict(arch='v2_b1'), 'is a PVT v1_tiny; the encoder is a PVT v2_b1'),
        (
            dict(arch='v2_b2'),
            dict(arch='v2_b2_li'),
            'is a PVT v2_b2; the encoder is a PVT v2_b2_li',
        ),
        (dict(arch='v2_b0'), dict(arch='v2_b1'), 'is a PVT v2_b0; the encoder is a PVT v2_b1'),
        (dict(arch='v2_b0'), dict(arch=V2), r'v2_b0; the encoder is a PVT v2 of no usual size'),
    ],
)
def test_a_file_of_another_variant_is_named(file, own, message):
    with torch.device('meta'):
        state, encoder = PVT(**file).state_dict(), PVT(**own)
    with pytest.raises(UserError, match=message):
        convert_pvt(encoder, state)


def test_positions_of_another_size_are_refused():
    with pytest.raises(UserError, match=r'56x56.*img_size=512.*set encoder.img_size=224'):
        convert_pvt(PVT(V1, img_size=512), classifier(V1))


def test_a_file_of_another_network_lists_names(tmp_path):
    torch.save({'layer1.weight': torch.ones(3)}, tmp_path / 'other.pth')
    with pytest.raises(UserError, match=r'layer1\.weight'):
        build_encoder(dict(type='PVT', arch=V2, checkpoint=str(tmp_path / 'other.pth')))
