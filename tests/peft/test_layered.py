"""The skeleton of methods with a layer per site, and how methods are found."""

from pathlib import Path

import pytest
import torch
from torch import nn

import rein_seg.peft
from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError
from rein_seg.peft import build_methods, methods
from rein_seg.peft.layered import LayerMethod, site_key
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite, StreamSite
from tests.peft.build import backbone, image


class Gain(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), 1.5))

    def forward(self, x, y, context):
        return self.gain * y

    def merge(self, site):
        site.tap.module.weight *= self.gain
        site.tap.module.bias *= self.gain


class Gains(LayerMethod):
    layers_name = 'gains'

    def find_sites(self, anatomy):
        return anatomy.find(NormSite, role='norm2', blocks=self.blocks)

    def make_layer(self, site):
        return Gain(site.channels)


def test_a_method_is_its_sites_and_its_layer():
    model = backbone(type='Frozen').eval()
    plain = model(image()).maps[-1]
    method = Gains(blocks=[0, -1])
    model.peft.detach()
    method.attach(model.encoder, model.anatomy)
    assert list(method.state_dict()) == ['gains.layers_0_ln2.gain', 'gains.layers_2_ln2.gain']
    hooked = model.encoder(image())[-1]
    assert not torch.allclose(hooked, plain)
    method.merge()
    torch.testing.assert_close(model.encoder(image())[-1], hooked)


def test_keys_of_sites():
    anatomy = backbone(type='Frozen').anatomy
    keys = {kind: site_key(anatomy.find(kind, blocks=[1])[0]) for kind in (OpSite, NormSite)}
    assert keys == {OpSite: 'layers_1_attn_qkv', NormSite: 'layers_1_ln1'}
    assert site_key(anatomy.find(ParamSite, role='pos')[0]) == 'pos_embed'
    assert site_key(anatomy.find(StreamSite, where='mid')[2]) == 'mid_2'
    assert site_key(anatomy.find(BranchSite, branch='ffn')[0]) == 'ffn_0'
    for kind in (OpSite, NormSite, ParamSite, StreamSite, BranchSite):
        sites = anatomy.find(kind)
        assert len({site_key(site) for site in sites}) == len(sites)


def test_every_file_of_the_folder_is_a_method_and_an_attribute_of_the_package():
    files = {path.stem.replace('_', '') for path in Path(methods.__file__).parent.glob('[a-z]*.py')}
    ours = {
        name: cls
        for name, cls in PEFT_METHODS.module_dict.items()
        if cls.__module__.startswith('rein_seg.')
    }
    assert {name.lower() for name in ours} == files
    assert all(getattr(rein_seg.peft, name) is cls for name, cls in ours.items())
    assert set(ours) <= set(dir(rein_seg.peft))
    with pytest.raises(AttributeError, match="no attribute 'Lora'"):
        rein_seg.peft.Lora  # noqa: B018


def test_default_targets_leave_out_grouped_convolutions():
    """Naming their role is an error, as for every target that a method cannot change."""
    encoder, _ = build_encoder(dict(type='TimmStages', model='regnetx_002', init_seed=0))
    anatomy = find_anatomy(encoder)
    for name in ('LoRA', 'DoRA', 'SVF'):
        sites = build_methods(dict(type=name)).find_sites(anatomy)
        assert {site.role for site in sites} >= {'conv1', 'conv3'}
        assert all(site.module.groups == 1 for site in sites)
    with pytest.raises(UserError, match='grouped convolution'):
        build_methods(dict(type='LoRA', targets=['conv2'])).attach(encoder, anatomy)
