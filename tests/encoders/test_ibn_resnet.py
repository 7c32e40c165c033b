"""IBN-ResNet: norms of both kinds, stride and pool, official files."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.ibn_resnet import IBN, ibn_resnet_weights
from rein_seg.errors import UserError
from rein_seg.structures import NormSite

TINY = dict(type='IBNResNet', base_channels=4, init_seed=0)


def test_the_first_half_is_normalised_image_by_image():
    norm, x = IBN(5).eval(), torch.randn(2, 5, 4, 6)
    torch.nn.init.uniform_(norm.IN.weight)
    norm.BN.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    found = norm(x)
    expected = F.instance_norm(x[:, :2]) * norm.IN.weight[:, None, None]
    assert torch.allclose(found[:, :2], expected, atol=1e-6)
    mean = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    assert torch.allclose(found[:, 2:], (x[:, 2:] - mean) / (1 + 1e-5) ** 0.5, atol=1e-5)


def test_names_and_shapes_of_the_official_file():
    encoder, _ = build_encoder({**TINY, 'base_channels': 64})
    shapes = {name: tuple(x.shape) for name, x in encoder.state_dict().items()}
    assert shapes['layer1.0.bn1.IN.weight'] == shapes['layer1.0.bn1.BN.running_var'] == (32,)
    assert shapes['layer3.5.bn1.IN.bias'] == (128,)
    assert shapes['layer4.0.bn1.weight'] == (512,)  # the fourth stage has batch norms alone
    assert not any('.IN.running' in name for name in shapes)
    # 25.56 M of ResNet-50 with its classifier of 2.05 M; instance norms have no other weights
    assert sum(p.numel() for p in encoder.parameters()) == 23_508_032


def test_the_last_stage_keeps_the_size_and_the_pool_has_no_padding():
    encoder, _ = build_encoder(TINY)
    maps = encoder(torch.randn(1, 3, 224, 224))
    assert [x.shape[-1] for x in maps] == [56, 28, 14, 14]
    x = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    assert encoder.maxpool(x)[0, 0, 0].tolist() == [2, 4, 5]
    normal, _ = build_encoder({**TINY, 'last_stride': 2})
    assert find_anatomy(normal).out_strides == (4, 8, 16, 32)


def test_both_halves_are_sites():
    encoder, _ = build_encoder(TINY)
    sites = find_anatomy(encoder).find(NormSite, role='bn1')
    assert [(site.name, site.channels) for site in sites[:2]] == [
        ('layer1.0.bn1.IN', 2),
        ('layer1.0.bn1.BN', 2),
    ]
    assert sites[-1].name == 'layer4.2.bn1'


def test_official_files():
    encoder, _ = build_encoder(TINY)
    state = {f'module.{k}': v + 0.5 for k, v in encoder.state_dict().items()}
    state['module.fc.weight'] = torch.zeros(1000, 128)
    converted = ibn_resnet_weights(encoder, state)
    encoder.load_state_dict(converted.tensors)
    assert converted.left_out == ('fc.weight',)


def test_a_plain_resnet_s_file_is_named():
    encoder, _ = build_encoder(TINY)
    plain, _ = build_encoder(dict(type='mmseg.ResNet', depth=50, base_channels=4, init_seed=0))
    with pytest.raises(UserError, match='without instance norms.*resnet50_ibn_a'):
        ibn_resnet_weights(encoder, plain.state_dict())
