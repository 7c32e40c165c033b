"""SSF alone."""

from types import SimpleNamespace

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.peft.methods.ssf import ScaleShift
from rein_seg.structures import NormSite, OpSite
from tests.peft.build import backbone, image, move


def hooked(model):
    return {site.role for site in model.peft.find_sites(model.anatomy)}


def test_counts_are_two_numbers_an_output_channel():
    model = backbone(type='SSF')
    # norms 2, qkv 3, proj 1, fc1 2 (a feed-forward twice as wide), fc2 1; and the patch
    assert sum(p.numel() for p in model.peft.parameters()) == 2 * 32 * (3 * 9 + 1)
    assert sum(p.numel() for p in backbone(type='SSF', blocks=[-1]).peft.parameters()) == 18 * 32


def test_starts_near_one_and_zero():
    model = backbone(type='SSF')
    scales = torch.cat([layer.scale for layer in model.peft.layers.values()])
    shifts = torch.cat([layer.shift for layer in model.peft.layers.values()])
    for values, mean in ((scales, 1.0), (shifts, 0.0)):
        assert values.mean().item() == pytest.approx(mean, abs=0.003)
        assert values.std().item() == pytest.approx(0.02, rel=0.1)


def test_the_axis_is_that_of_the_channels_even_where_the_map_is_as_wide():
    layer = ScaleShift(torch.ones(6), std=0.5)
    maps, last = (SimpleNamespace(layout=layout) for layout in ('NCHW', 'NHWC'))
    y = torch.randn(2, 6, 5, 6)
    expected = layer(None, y.permute(0, 2, 3, 1), last).permute(0, 3, 1, 2)
    assert torch.equal(layer(None, y, maps), expected)


def test_operations_without_a_bias_are_left_to_their_norms():
    swin = backbone('swin', type='SSF')
    chosen = swin.peft.find_sites(swin.anatomy)
    merging = [site for site in chosen if site.role == 'merge']
    assert merging
    assert all(isinstance(site, NormSite) for site in merging)
    resnet = backbone('resnet', type='SSF')
    assert not any(isinstance(s, OpSite) for s in resnet.peft.find_sites(resnet.anatomy))
    assert 'pre' in hooked(backbone('clip_tower', type='SSF'))
    assert hooked(backbone('convnext', type='SSF')) >= {
        'dw',
        'norm',
        'fc1',
        'fc2',
        'patch',
        'merge',
    }


@pytest.mark.parametrize(('family', 'role'), [('swin', 'merge'), ('resnet', 'conv1')])
def test_merging_makes_a_bias_where_one_is_needed(family, role):
    model = move(backbone(family, type='SSF', targets=[role])).eval()
    before = model(image()).maps[-1]
    module = model.anatomy.find(OpSite, role=role)[0].module
    assert module.bias is None
    model.peft.merge()
    assert module.bias is not None
    torch.testing.assert_close(model(image()).maps[-1], before, rtol=1e-5, atol=1e-5)


def test_what_cannot_work_is_refused():
    with pytest.raises(UserError, match=r"SSF targets=\['dw'\]: the 'vit' encoder has no \['dw'\]"):
        backbone(type='SSF', targets=['dw'])
    with pytest.raises(UserError, match='block 9 does not exist'):
        backbone(type='SSF', blocks=[9])
    with pytest.raises(UserError, match='init_std=-1: expected a number, at least 0'):
        backbone(type='SSF', init_std=-1)
