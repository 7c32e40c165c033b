"""PVT: timm's second version, parameter counts, sizes, starts, arguments."""

import pytest
import timm
import torch
from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders import build_encoder, shapes_only
from rein_seg.encoders.pvt import PVT
from rein_seg.encoders.pvt.archs import ARCHS
from rein_seg.encoders.pvt.layers import DropPath
from rein_seg.errors import UserError
from tests.encoders.pvt.sizes import V1, V2, narrow


@pytest.mark.parametrize('name', [name for name in ARCHS if name.startswith('v2')])
def test_equals_timm_from_its_tensors(name, tmp_path):
    """Each size class at an eighth of its width, through the key map, maps at sides of any kind."""
    arch = narrow(name)
    torch.manual_seed(0)
    model = timm.models.PyramidVisionTransformerV2(
        depths=arch['depths'],
        embed_dims=arch['embed_dims'],
        num_heads=arch['num_heads'],
        sr_ratios=(8, 4, 2, 1),
        mlp_ratios=arch['mlp_ratios'],
        linear=arch.get('linear', False),
    ).eval()
    for param in model.parameters():
        nn.init.normal_(param, std=0.05)
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    encoder, _ = build_encoder(dict(type='PVT', arch=arch, checkpoint=str(tmp_path / 'timm.pth')))
    image = torch.randn(1, 3, 70, 109)
    with torch.no_grad():
        maps, x = encoder(image), model.patch_embed(image)
        for stage, ours in zip(model.stages, maps, strict=True):
            x = stage(x)
            torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-5)


COUNTS = {
    'v1_tiny': 12714752,
    'v1_small': 23971328,
    'v1_medium': 43693568,
    'v1_large': 60854784,
    'v2_b0': 3409760,
    'v2_b1': 13496000,
    'v2_b2': 24849856,
    'v2_b2_li': 22040512,
    'v2_b3': 44725696,
    'v2_b4': 62043072,
    'v2_b5': 81443008,
}
MILLIONS = (12.72, 23.97, 43.69, 60.86, 3.41, 13.50, 24.85, 22.04, 44.73, 62.04, 81.44)


@pytest.mark.parametrize(
    ('name', 'count', 'millions'),
    [(*row, m) for row, m in zip(COUNTS.items(), MILLIONS, strict=True)],
)
def test_parameter_counts(name, count, millions):
    """In millions v1 is told with its class token of 512 channels, which maps do not need."""
    with shapes_only():
        encoder, _ = build_encoder(dict(type='PVT', arch=name, init_seed=0))
    assert sum(p.numel() for p in encoder.parameters()) == count
    assert round((count + 512 * name.startswith('v1')) / 1e6, 2) == millions


def test_every_size_is_counted():
    assert COUNTS.keys() == ARCHS.keys()


@pytest.mark.parametrize(
    ('arch', 'size', 'sides'),
    [
        (V1, (32, 32), [(8, 8), (4, 4), (2, 2), (1, 1)]),
        (V1, (71, 100), [(17, 25), (8, 12), (4, 6), (2, 3)]),  # rounded down
        (V2, (32, 33), [(8, 9), (4, 5), (2, 3), (1, 2)]),  # rounded up
        (V2, (71, 100), [(18, 25), (9, 13), (5, 7), (3, 4)]),
        ({**V2, 'linear': True}, (5, 40), [(2, 10), (1, 5), (1, 3), (1, 2)]),
    ],
)
def test_sizes_of_the_maps(arch, size, sides):
    with torch.no_grad():
        maps = PVT(arch).eval()(torch.randn(1, 3, *size))
    assert [tuple(x.shape[2:]) for x in maps] == sides
    assert [x.shape[1] for x in maps] == arch['embed_dims']
    assert all(x.isfinite().all() for x in maps)


@pytest.mark.parametrize('arch', [V1, V2])
def test_a_side_that_is_too_short_is_refused(arch):
    with pytest.raises(UserError, match=r'32 pixels or more, not \(31, 64\).*\(32, 64\)'):
        PVT(arch)(torch.zeros(1, 3, 31, 64))


def test_small_images_are_padded_for_predictions():
    backbone = dict(
        type='PEFTBackbone',
        encoder=dict(type='PVT', arch=V2, out_indices=[0, 1], init_seed=0),
        peft=dict(type='LoRA', rank=2),
    )
    head = dict(type='LinearHead')
    model = MODELS.build(
        dict(type='PEFTSegmentor', backbone=backbone, decode_head=head, num_classes=3)
    )
    assert model.backbone.anatomy.smallest_side == 32  # two stages alone would need 8
    model.backbone.check_size((32, 45))
    with pytest.raises(UserError, match=r'PVT takes .* of 32 pixels or more, not \(20, 45\)'):
        model.backbone.check_size((20, 45))  # of a crop, before a run begins
    with torch.no_grad():
        assert model.eval().whole_inference(torch.randn(1, 3, 20, 45)).shape == (1, 3, 20, 45)


def test_a_grid_with_as_many_positions_is_resized():
    """As 32 x 128 and 64 x 64 have, where the official code takes the rows as they are."""
    encoder = PVT(V1, img_size=64).eval()
    assert torch.equal(encoder.positions(0, (16, 16)), encoder.pos_embed1)
    wide = encoder.positions(0, (8, 32))
    assert wide.shape == (1, 256, 8)
    assert not torch.allclose(wide, encoder.pos_embed1)
    rows = encoder.pos_embed1.unflatten(1, (16, 16))
    # halving rows, doubling columns: the first column is a mean of two rows
    expected = rows[:, 0:2, 0].mean(1)
    torch.testing.assert_close(wide[:, 0], expected)


def test_the_class_tokens_position_is_not_used():
    encoder = PVT(V1, img_size=64).eval()
    assert [getattr(encoder, f'pos_embed{i}').shape[1] for i in (1, 2, 3, 4)] == [256, 64, 16, 5]
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(image)[3]
        encoder.pos_embed4[:, 0] += 10
        assert torch.equal(encoder(image)[3], before)
        encoder.pos_embed4[:, 1] += 10
        assert not torch.equal(encoder(image)[3], before)


def test_outputs_of_some_stages_do_not_depend_on_later_stages():
    encoder, image = PVT(V2).eval(), torch.randn(1, 3, 64, 64)
    part = PVT(V2, out_indices=[0, 1]).eval()
    part.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        every, some = encoder(image), part(image)
        part.block3[0].norm1.weight.fill_(float('nan'))
        assert all(torch.equal(a, b) for a, b in zip(every[:2], some, strict=True))
        assert all(x.isfinite().all() for x in part(image))


def test_drop_path_rises_linearly_and_acts_in_training_alone():
    encoder = PVT({**V2, 'depths': [2, 1, 1, 1]}, drop_path_rate=0.4)
    rates = [m.drop_prob for m in encoder.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    image = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(encoder.eval()(image)[3], encoder(image)[3])
        torch.manual_seed(0)
        assert not torch.equal(encoder.train()(image)[3], encoder(image)[3])


def test_official_starts():
    """Linears of std 0.02; convolutions of v2 by their outputs, of v1 as PyTorch draws them."""
    sizes = dict(embed_dims=[64], num_heads=[1], mlp_ratios=[8], depths=[1], sr_ratios=[8])
    second = build_encoder(dict(type='PVT', arch=dict(version='v2', **sizes), init_seed=3))[0]
    first = build_encoder(dict(type='PVT', arch=dict(version='v1', **sizes), init_seed=3))[0]
    block = second.block1[0]
    assert block.mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not block.mlp.fc1.bias.any()
    assert block.attn.sr.weight.std().item() == pytest.approx((2 / (64 * 64)) ** 0.5, rel=0.02)
    # a depthwise kernel: 2 groups / (9 channels)
    assert block.mlp.dwconv.dwconv.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert not block.attn.sr.bias.any()
    assert first.pos_embed1.std().item() == pytest.approx(0.02, rel=0.02)
    bound = 1 / (64 * 64) ** 0.5  # of PyTorch's uniform draw
    assert first.block1[0].attn.sr.weight.abs().max().item() == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='v2_b6'), "'v2_b6'.*v2_b5"),
        (dict(arch={**V2, 'version': 'v3'}), "version='v3'"),
        (dict(arch={**V2, 'num_heads': [1, 1, 3, 2]}), '16 channels and 3 heads in stage 2'),
        (dict(arch={**V2, 'depths': [1, 1]}), 'one number for each stage'),
        (dict(arch={**V1, 'linear': True}), 'only v2 has it'),
        (dict(arch={**V2, 'linear': 1}), 'linear=1: expected True or False'),
        (dict(arch={**V2, 'depths': [1, 0, 1, 1]}), r'depths\[1\]=0'),
        (dict(arch=V2, img_size=224), 'stores no positions'),
        (dict(arch=V1, img_size=16), 'img_size=16'),
        (dict(arch=V2, out_indices=[4]), 'it has 4 stages'),
        (dict(arch=V2, drop_path_rate=1.0), 'drop_path_rate=1.0'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build_encoder(dict(type='PVT', init_seed=0, **options))
