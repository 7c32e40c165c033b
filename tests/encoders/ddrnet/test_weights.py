"""Files of DDRNet: the authors' classifiers and segmentation models, mmseg's, other variants."""

import pytest
import torch

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.ddrnet import DualResNet
from rein_seg.errors import UserError
from tests.encoders.ddrnet.mmseg_model import mmseg_ddrnet
from tests.encoders.files import load

ARCH = dict(planes=8, layers=[2, 2, 2, 2], spp_planes=16)
CFG = dict(type='DualResNet', arch=ARCH, init_seed=1)
HEAD = {
    'final_layer.bn1.weight': torch.ones(3),
    'final_layer.conv2.bias': torch.ones(3),
    'seghead_extra.conv1.weight': torch.ones(3),
}


def own(arch=ARCH):
    encoder = DualResNet(arch)
    state = {k: torch.rand_like(v) + 0.5 if v.dim() else v for k, v in encoder.state_dict().items()}
    return encoder, state


@pytest.mark.parametrize('prefix', ['', 'module.', 'model.', 'backbone.'])
def test_segmentation_files_of_the_authors(prefix, tmp_path):
    encoder, state = own()
    file = {prefix + k: v for k, v in {**state, **HEAD}.items()}
    loaded = load(CFG, file, tmp_path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    assert convert_weights(encoder, file).left_out == tuple(HEAD)


def test_classifiers_have_no_pyramid_and_other_heads(tmp_path):
    encoder, state = own()
    trunk = {k: v for k, v in state.items() if not k.startswith('spp.')}
    head = {'last_layer.0.weight': torch.ones(2), 'linear.bias': torch.ones(2)}
    file = {f'module.{k}': v for k, v in {**trunk, **head}.items()}
    converted = convert_weights(encoder, file)
    assert (converted.left_out, converted.filled) == (tuple(head), ('spp.*',))
    assert 'not in the file, started anew: spp.*' in str(converted)
    loaded = load(CFG, file, tmp_path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in trunk.items())
    again = load(CFG, file, tmp_path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in again.items())
    weight = loaded['spp.process2.2.weight']
    assert weight.std().item() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.1)
    assert loaded['spp.scale0.0.weight'].unique().tolist() == [1]


def test_files_of_mmseg_keep_their_function(tmp_path):
    theirs, x = mmseg_ddrnet().eval(), torch.randn(1, 3, 64, 64)
    file = {f'backbone.{k}': v for k, v in theirs.state_dict().items()}
    file |= {'decode_head.conv_seg.weight': torch.ones(2)}
    encoder = load(CFG, {'state_dict': file}, tmp_path)
    assert not encoder.conv1[0].bias.any()
    with torch.no_grad():
        torch.testing.assert_close(encoder(x)[0], theirs(x), rtol=1e-4, atol=1e-4)
    assert convert_weights(encoder, file).left_out == ('decode_head.conv_seg.weight',)


@pytest.mark.parametrize(
    ('file', 'arch', 'names'),
    [
        ('39', '23', 'of DDRNet-39, the encoder is DDRNet-23: set encoder.arch=.39., or'),
        ('23', '23_slim', 'of DDRNet-23, the encoder is DDRNet-23-slim'),
        ('23_slim', '39', 'of DDRNet-23-slim, the encoder is DDRNet-39'),
        ('23', ARCH, 'of DDRNet-23, the encoder is a DDRNet with planes=8'),
    ],
)
def test_files_of_another_variant_name_both(file, arch, names):
    with torch.device('meta'):
        state, encoder = DualResNet(file).state_dict(), DualResNet(arch)
    with pytest.raises(UserError, match=names):
        convert_weights(encoder, {f'model.{k}': v for k, v in state.items()})


def test_missing_tensors_and_foreign_files_are_errors(tmp_path):
    _, state = own()
    state.pop('layer4_.0.bn1.bias')
    with pytest.raises(UserError, match=r'Missing: layer4_\.0\.bn1\.bias'):
        load(CFG, state, tmp_path)
    with pytest.raises(UserError, match='Unexpected: .*cls_token'):
        load(CFG, {'cls_token': torch.ones(1), **own()[1]}, tmp_path)
    with pytest.raises(UserError, match='0/'):
        load(CFG, {'stages.0.weight': torch.ones(1)}, tmp_path)


def test_random_weights_are_scaled_to_the_outputs_of_a_convolution():
    encoder, _ = build_encoder({**CFG, 'arch': {**ARCH, 'planes': 32}})
    weight = encoder.layer4[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.05)
    assert encoder.layer4[0].bn2.weight.unique().tolist() == [1]
