"""Sites of PVT: roles, parts, and where they end."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.pvt import PVT
from rein_seg.structures import NormSite, OpSite, ParamSite
from tests.encoders.pvt.sizes import V1, V2

INSIDE = ['norm1', 'q', 'sr', 'sr', 'kv', 'proj', 'norm2', 'fc1', 'fc2']


@pytest.mark.parametrize(
    ('arch', 'first', 'last'),
    [
        (V1, INSIDE, [role for role in INSIDE if role != 'sr']),
        (
            V2,
            [*INSIDE[:-1], 'dw', 'fc2'],
            [role for role in [*INSIDE[:-1], 'dw', 'fc2'] if role != 'sr'],
        ),
        ({**V2, 'linear': True}, [*INSIDE[:-1], 'dw', 'fc2'], [*INSIDE[:-1], 'dw', 'fc2']),
    ],
)
def test_roles_of_the_first_and_the_last_stage_in_forward_order(arch, first, last):
    anatomy = find_anatomy(PVT(arch))
    sites = [site for site in anatomy.sites if isinstance(site, (OpSite, NormSite))]
    ops = {s.name: s for s in sites if isinstance(s, OpSite)}
    final = ['final'] * (arch['version'] == 'v2')
    for stage, inside in ((0, first), (3, last)):
        roles = [site.role for site in sites if site.stage == stage]
        assert sorted(roles) == sorted(['patch', 'patch', *inside, *final])
        assert [r for r in roles if r in ('q', 'kv', 'proj', 'fc1', 'dw', 'fc2')] == [
            r for r in inside if r in ('q', 'kv', 'proj', 'fc1', 'dw', 'fc2')
        ]
    assert ops['block4.0.attn.kv'].parts == (('k', 0, 16), ('v', 16, 32))
    assert ops['block4.0.attn.q'].parts == ()
    assert anatomy.out_channels == (8, 8, 16, 16)
    assert anatomy.out_strides == (4, 8, 16, 32)
    assert (anatomy.divisor, anatomy.num_prefix, anatomy.stage_depths) == (1, 0, (1, 1, 1, 1))


@pytest.mark.parametrize('arch', [V1, V2])
def test_sites_end_at_the_last_output(arch):
    encoder = PVT(arch, out_indices=[1])
    anatomy = find_anatomy(encoder)
    names = {site.name for site in anatomy.find(ParamSite)}
    parts = ('patch_embed', 'pos_embed', 'block', 'norm')
    later = tuple(f'{part}{number}' for part in parts for number in (3, 4))
    every = {name for name, _ in encoder.named_parameters()}
    assert names == {name for name in every if not name.startswith(later)}
    assert (anatomy.out_channels, anatomy.out_strides) == ((8,), (8,))
    assert anatomy.stage_depths == (1, 1)


@pytest.mark.parametrize('arch', [V1, V2])
def test_all_that_trains_gets_a_gradient_from_earlier_maps(arch):
    encoder = dict(type='PVT', arch=arch, out_indices=[0, 1], init_seed=0)
    backbone = MODELS.build(
        dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Full'))
    ).train()
    sum(x.square().sum() for x in backbone(torch.randn(2, 3, 64, 64)).maps).backward()
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in backbone.named_parameters() if p.grad is not None}
    assert {name.split('.')[1] for name in trained} >= {'patch_embed1', 'block1', 'block2'}


def test_an_attention_without_biases_takes_methods():
    arch = {**V2, 'qkv_bias': False}
    encoder, _ = build_encoder(dict(type='PVT', arch=arch, init_seed=0))
    assert encoder.block1[0].attn.q.bias is None
    assert encoder.block1[0].attn.proj.bias is not None
    backbone = MODELS.build(
        dict(
            type='PEFTBackbone',
            encoder=dict(type='PVT', arch=arch, init_seed=0),
            peft=dict(type='LoRA', targets=['q', 'v', 'sr'], rank=2),
        )
    ).eval()
    with torch.no_grad():
        for param in backbone.peft.parameters():
            param.normal_(std=0.1)
        before = backbone(torch.ones(1, 3, 40, 64)).maps
        backbone.merge()
        after = backbone(torch.ones(1, 3, 40, 64)).maps
    for x, y in zip(before, after, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
