"""HLG: sizes, shapes, sites, wrong arguments."""

import pytest
import torch
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.encoders.hlg import HLGTransformer
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.structures import BranchSite, OpSite, StreamSite
from tests.encoders.probe import Probe
from tests.encoders.tiny import ENCODERS, FOUR_MAPS, image

SIZES = {'tiny': 10.52, 'small': 23.51, 'medium': 39.21, 'large': 83.33}


def build(**change):
    return build_encoder({**ENCODERS['hlg'], **change})[0]


@pytest.mark.parametrize('arch', SIZES)
def test_parameters(arch):
    with shapes_only():
        encoder = build(arch=arch)
    count = sum(p.numel() for p in encoder.parameters())
    assert f'{count / 1e6:.2f}' == f'{SIZES[arch]:.2f}'
    anatomy = find_anatomy(encoder)
    assert (anatomy.out_strides, anatomy.divisor) == ((4, 8, 16, 32), 32)
    assert anatomy.out_channels == anatomy.stage_channels == encoder.embed_dims


@pytest.mark.parametrize('size', [(32, 32), (96, 64), (64, 224)])
def test_maps_of_any_shape(size):
    encoder = build_encoder(FOUR_MAPS['hlg'])[0]
    with torch.no_grad():
        maps = encoder(image(*size))
    assert [tuple(x.shape[2:]) for x in maps] == [
        tuple(side // stride for side in size) for stride in (4, 8, 16, 32)
    ]


def test_a_stage_hands_on_its_normed_map():
    encoder, seen = build(), []
    encoder.block2[0].register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    with torch.no_grad():
        first, _ = encoder(image())
    assert torch.equal(seen[0], first.flatten(2).transpose(1, 2))


def test_every_second_layer_is_dilated_and_rates_rise():
    arch = dict(embed_dims=[32, 32], depths=[3, 2], num_heads=[1, 1])
    encoder = build(arch=arch, drop_path_rate=0.4)
    assert [layer.dilated for layer in encoder.block1] == [False, True, False]
    rates = [layer.attn_drop.drop_prob for layer in (*encoder.block1, *encoder.block2)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert torch.equal(*(encoder(image())[-1] for _ in range(2)))  # frozen: nothing is dropped


def test_weights_start_as_the_authors_draw_them():
    encoder = build()
    linears = [m for m in encoder.modules() if isinstance(m, nn.Linear)]
    assert max(m.weight.abs().max().item() for m in linears) < 0.12
    assert encoder.block1[0].q.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not any(m.bias.any() for m in linears)
    assert encoder.s0_conv[0][0].weight.abs().max() > 0.1  # PyTorch's own


def test_stages_behind_the_last_output_do_not_run():
    encoder = build_encoder({**FOUR_MAPS['hlg'], 'out_indices': [0, 1]})[0]
    encoder.block3 = None
    with torch.no_grad():
        maps = encoder(image(64, 32))
    assert [tuple(x.shape[2:]) for x in maps] == [(16, 8), (8, 4)]
    anatomy = find_anatomy(build_encoder({**FOUR_MAPS['hlg'], 'out_indices': [0, 1]})[0])
    names = {site.name for site in anatomy.sites if hasattr(site, 'name')}
    assert not any(name.startswith(('block3', 'block4', 'norm_out_2', 'norm.')) for name in names)
    assert 'norm_out_1' in names


def test_stream_in_the_middle_is_the_smoothed_map_before_the_attention():
    encoder = build()
    anatomy, seen = find_anatomy(encoder), []
    Probe(anatomy.find(StreamSite, where='mid'), lambda x, c: seen.append(c.grid(x)) or x).attach(
        encoder, anatomy
    )
    entered = []
    encoder.block1[1].norm0.register_forward_pre_hook(lambda m, args: entered.append(args[0]))
    encoder.block1[1].middle.register_forward_pre_hook(lambda m, args: entered.append(args[0]))
    with torch.no_grad():
        encoder(image())
    assert seen == [(8, 12), (8, 12), (4, 6), (4, 6)]
    torch.testing.assert_close(entered[1], 2 * entered[0])


@pytest.mark.parametrize('block', [1, 2])
def test_branch_ffn_is_the_convolving_part_before_its_shortcut(block):
    """Its own result again doubles it; in the first layer of a stage it has a stride."""
    encoder = build()
    anatomy = find_anatomy(encoder)
    layer = encoder.block2[0] if block == 2 else encoder.block1[1]
    (site,) = anatomy.find(BranchSite, branch='ffn', blocks=[block])
    (site.conv is None) == (block == 1) or pytest.fail(str(site))

    def again(x, context):
        assert context.layout == 'NCHW'
        y = layer.norm2(layer.mlp.forward(x).permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)

    found = []
    layer.middle.register_forward_hook(lambda m, args, out: found.append(out))
    layer.mlp_drop.register_forward_hook(lambda m, args, out: found.append((args[0], out)))
    Probe([site], again, source='entry_raw').attach(encoder, anatomy)
    with torch.no_grad():
        encoder(image())
    plain, doubled = found[0]
    torch.testing.assert_close(doubled, plain)  # what enters is doubled already
    own = build()
    with torch.no_grad():
        reference = []
        twin = own.block2[0] if block == 2 else own.block1[1]
        twin.mlp_drop.register_forward_hook(lambda m, args, out: reference.append(out))
        own(image())
    torch.testing.assert_close(plain, 2 * reference[0])


def test_values_of_windows_have_the_grid_of_the_windows():
    encoder = build()
    anatomy, grids = find_anatomy(encoder), {}

    def look(x, y, context):
        grids.setdefault(context.site.role, []).append(context.grid(y))
        return y

    ops = anatomy.find(OpSite, role=('q', 'k', 'v', 'proj'), blocks=[0])
    Probe(ops, look).attach(encoder, anatomy)
    with torch.no_grad():
        encoder(image())
    assert grids == {
        'q': [(8, 12)],
        'k': [(2, 2)],
        'v': [(8, 12), (2, 2)],
        'proj': [(8, 12)],
    }


@pytest.mark.parametrize('peft', ['ConvAdapter', 'Mona', 'AdaptFormer', 'VPT'])
def test_methods_work_on_the_official_behaviour_with_its_padding(peft):
    cfg = {**ENCODERS['hlg'], 'behaviour': 'official'}
    backbone = PEFTBackbone(cfg, dict(type=peft))
    maps = backbone(image(32, 32)).maps
    assert [tuple(x.shape[2:]) for x in maps] == [(8, 8), (4, 4)]
    sum(x.square().sum() for x in maps).backward()
    assert all(p.grad is not None for p in backbone.peft.parameters())


def test_official_takes_square_images():
    encoder = build(behaviour='official')
    expected = r'behaviour="official" takes square images, not \(32, 48\).*\(48, 48\).*"intent"'
    with pytest.raises(UserError, match=expected):
        encoder(image(32, 48))
    backbone = PEFTBackbone({**ENCODERS['hlg'], 'behaviour': 'official'}, dict(type='Frozen'))
    backbone.check_size((64, 64))
    with pytest.raises(UserError, match=expected):  # as a run asks before it begins
        backbone.check_size((32, 48))


def test_sides_that_do_not_fit_name_sides_that_do():
    backbone = PEFTBackbone(FOUR_MAPS['hlg'], dict(type='Frozen'))
    with pytest.raises(UserError, match=r'32 pixels, not \(60, 100\).*crop to \(64, 96\)'):
        backbone(image(60, 100))


ARCH = dict(embed_dims=[32, 64], depths=[1, 1], num_heads=[1, 2])


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(arch='huge'), 'tiny'),
        (dict(arch={**ARCH, 'depths': [1]}), 'as many embed_dims as depths'),
        (dict(arch={**ARCH, 'embed_dims': 32}), 'arch.embed_dims=32'),
        (dict(arch={**ARCH, 'embed_dims': [32, 40]}), 'embed_dims=40 and num_heads=2 in stage 1'),
        (dict(arch={**ARCH, 'embed_dims': [32, 48]}), 'a multiple of the width before'),
        (dict(arch={**ARCH, 'num_heads': [1, 3]}), 'the number of heads divide'),
        (dict(arch={**ARCH, 'depths': [1, 0]}), 'arch.depths=0'),
        (dict(behaviour='paper'), "behaviour='paper': expected intent or official"),
        (dict(drop_path_rate=1.0), 'drop_path_rate=1.0: expected a number from 0 to below 1'),
        (dict(window_size=0), 'window_size=0'),
        (dict(out_indices=[0, 4]), 'it has 2 stages'),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(UserError, match=words):
        HLGTransformer(**{'arch': ARCH, **options})
