"""Anatomies found from networks of timm: beside those written by hand, and each site probed."""

import pytest
import torch
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod
from rein_seg.structures import (
    BranchSite,
    NormSite,
    OpSite,
    ParamSite,
    RunState,
    SeqSite,
    StreamSite,
)

MODELS = {
    'tf_efficientnet_lite0': ((1, 2, 2, 6, 5), 16),
    'mobilenetv4_conv_small': ((2, 2, 6, 7), 14),
    'regnety_002': ((1, 1, 4, 7), 13),
    'resnet18': ((2, 2, 2, 2), 8),
    'convnextv2_atto': ((2, 2, 6, 2), 24),
    'pvt_v2_b0': ((2, 2, 2, 2), 16),
    'swinv2_tiny_window8_256': ((2, 2, 2, 1), 14),
    'sam2_hiera_tiny': ((1, 2, 7, 2), 21),
}
# fewer blocks than the models have
ARGS = {
    'swinv2_tiny_window8_256': dict(
        embed_dim=16, depths=(2, 2, 2, 1), num_heads=(1, 2, 2, 4), window_size=4
    )
}


def build(name, **options):
    options = dict(options, model_args=ARGS.get(name, {}))
    encoder, _ = build_encoder(dict(type='TimmStages', model=name, init_seed=0, **options))
    return encoder, find_anatomy(encoder)


class Everywhere(PEFTMethod):
    """Adds a trainable zero at every site of the stream, branches, operations and norms."""

    def connect(self, anatomy):
        self.zeros = {}
        for site in anatomy.sites:
            if isinstance(site, (OpSite, NormSite)):
                self.hook(site, self.add(str(site)).to_output)
            elif isinstance(site, (StreamSite, BranchSite)):
                self.hook(site, self.add(str(site)).delta)

    def add(self, key):
        self.zeros[key] = Zero()
        return self.zeros[key]


class Zero:
    def __init__(self):
        self.value = torch.zeros((), requires_grad=True)

    def to_output(self, x, y, context):
        return y + self.delta(y, context)

    def delta(self, x, context):
        # not the same for all channels: a norm would take that out
        return self.value * torch.linspace(-1, 1, x.numel()).view(x.shape)


@pytest.mark.parametrize('name', MODELS)
def test_every_site_is_reached_and_left_as_it_was(name):
    encoder, anatomy = build(name)
    encoder.requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    for param in encoder.parameters():  # scales of branches begin at zero
        param.add_(0.1 * torch.randn(param.shape, generator=generator))
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    before = encoder(image)
    depths, branches = MODELS[name]
    assert anatomy.stage_depths == depths
    assert len(anatomy.find(BranchSite)) == branches
    method = Everywhere()
    method.attach(encoder, anatomy)
    during = encoder(image)
    assert all(torch.equal(x, y) for x, y in zip(before, during, strict=True))
    sum((y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum() for y in during).backward()
    silent = [key for key, zero in method.zeros.items() if not zero.value.grad]
    assert not silent
    method.detach()
    assert all(torch.equal(x, y) for x, y in zip(before, encoder(image), strict=True))


@pytest.mark.parametrize('name', MODELS)
def test_exactly_the_parameters_behind_the_outputs_have_sites(name):
    encoder, anatomy = build(name, out_indices=[1, 2])
    encoder.requires_grad_(True)
    sum(y.square().sum() for y in encoder(torch.randn(1, 3, 64, 64))).backward()
    reached = {name for name, p in encoder.named_parameters() if p.grad is not None}
    assert {site.name for site in anatomy.find(ParamSite)} == reached


def tapped(anatomy, kind):
    def ends(site):
        if isinstance(site, BranchSite):
            # several modules hold the same tensor
            ends = site.entry_norm, site.conv
            return site.branch, site.entry_raw.layout, site.exit_pre.layout, *ends
        if isinstance(site, StreamSite):
            return (site.where, *site.taps)
        return (site.tap, site.parts) if isinstance(site, OpSite) else (site.tap,)

    return [(site.block, *ends(site)) for site in anatomy.find(kind)]


@pytest.mark.parametrize('name', ['resnet18', 'resnet50', 'convnext_atto', 'convnextv2_atto'])
@pytest.mark.parametrize('kind', [OpSite, NormSite, StreamSite, BranchSite])
def test_sites_equal_those_written_by_hand(name, kind):
    with shapes_only():
        encoder, traced = build(name)
    ours, theirs = tapped(traced, kind), tapped(find_anatomy(encoder.model), kind)
    assert set(ours) == set(theirs)


def test_a_network_without_residual_sums_says_so():
    _, anatomy = build('vgg11')
    with pytest.raises(UserError, match='no StreamSite.*no module .* adds a branch to a stream'):
        anatomy.find(StreamSite)
    assert len(anatomy.find(OpSite)) == 8


@pytest.mark.parametrize('name', ['resnetv2_50x1_bit', 'nf_resnet50'])
def test_weights_that_are_not_used_as_they_are_are_refused(name):
    """The second's convolutions have biases, which are used as they are."""
    with shapes_only():
        _, anatomy = build(name)
    with pytest.raises(UserError, match='StdConv2d does not use its weight as it is'):
        anatomy.find(OpSite)


def test_why_tokens_cannot_be_inserted():
    _, anatomy = build('resnet18')
    with pytest.raises(UserError, match='works? on maps, where tokens cannot be inserted'):
        anatomy.find(SeqSite)


def test_norms_with_an_activation_are_tapped_in_front_of_it():
    encoder, anatomy = build('tf_efficientnet_lite0')
    site = anatomy.find(NormSite, blocks=[1], role='norm1')[0]
    assert site.module is encoder.model.blocks[1][0].bn1
    assert site.tap.module is encoder.model.blocks[1][0].bn1.drop
    assert isinstance(site.module.act, nn.ReLU6)


def test_queries_keys_and_values_are_the_rows_that_they_are_made_of():
    for name, role, parts in (
        ('pvt_v2_b0', 'kv', ('k', 'v')),
        ('swinv2_tiny_window8_256', 'qkv', ('q', 'k', 'v')),
        ('sam2_hiera_tiny', 'qkv', ('q', 'k', 'v')),
    ):
        with shapes_only():
            _, anatomy = build(name)
        site = anatomy.find(OpSite, role=role)[0]
        assert tuple(part for part, _, _ in site.parts) == parts
        assert site.parts[-1][2] == site.module.weight.shape[0]


def test_tokens_show_their_grid_where_the_pass_does():
    _, anatomy = build('pvt_v2_b0')
    grid = anatomy.find(StreamSite, where='out', blocks=[-1])[0].taps[0].grid
    assert grid(2 * 3, RunState(grid=(64, 96))) == (2, 3)
    keys = anatomy.find(OpSite, role='kv', blocks=[0])[0].tap.grid
    assert keys(2 * 3, RunState(grid=(64, 96))) == (2, 3)
    with pytest.raises(UserError, match='are no map of stride 32'):
        grid(7, RunState(grid=(64, 96)))


def test_tokens_of_windows_have_the_grid_of_a_window():
    _, anatomy = build('swinv2_tiny_window8_256')
    site = anatomy.find(OpSite, role='qkv', blocks=[0])[0]
    assert site.tap.grid(16, RunState(grid=(64, 96))) == (4, 4)
    inner = anatomy.find(StreamSite, where='mid', blocks=[0])[0].taps[0]
    assert inner.grid(16 * 24, RunState(grid=(64, 96))) == (16, 24)


def test_tokens_in_another_order_have_no_grid_when_a_method_asks():
    with shapes_only():
        _, anatomy = build('hiera_tiny_224', img_size=128)
    tap = anatomy.find(StreamSite, where='out')[0].taps[0]
    with pytest.raises(UserError, match='does not keep its 1024 tokens in the order of the image'):
        tap.grid(1024, RunState(grid=(128, 128)))


def test_blocks_that_begin_with_a_convolution_of_positions():
    """DaViT's stream is what its convolutions of positions return, in front of both branches."""
    with shapes_only():
        _, anatomy = build('davit_tiny')
    assert anatomy.stage_depths == (2, 2, 6, 2)
    roles = {site.role for site in anatomy.find(OpSite, blocks=[0])}
    assert roles >= {'qkv', 'proj', 'fc1', 'fc2'}
    assert {site.branch for site in anatomy.find(BranchSite, blocks=[0])} == {'attn', 'ffn'}


def test_a_stem_is_no_block():
    """DPN's blocks pass on two tensors, so none has a stream; its stem has the blocks' name."""
    with shapes_only():
        _, anatomy = build('dpn68')
    assert anatomy.stage_depths == (3, 4, 12, 3)
    with pytest.raises(UserError, match='layout of its stream is not known'):
        anatomy.find(StreamSite)


def test_a_module_with_sums_in_a_branch_is_no_block():
    """CSATv2's blocks hold a gate, a transformer of one channel, in their branch."""
    with shapes_only():
        _, anatomy = build('csatv2')
    assert anatomy.stage_channels == (32, 72, 168, 386)
    assert min(site.channels for site in anatomy.find(StreamSite)) == 32
    assert all(site.exit_pre.layout != 'NLC' for site in anatomy.find(BranchSite))


def test_no_site_is_at_a_module_that_runs_twice():
    """EdgeNeXt ends both branches of a block with the same module."""
    with shapes_only():
        encoder, anatomy = build('edgenext_xx_small')
    shared = encoder.model.stages_1.blocks[1].drop_path
    taps = [(s.exit_pre, s.exit_post) for s in anatomy.find(BranchSite)]
    assert all(tap is None or tap.module is not shared for pair in taps for tap in pair)


def test_halves_of_the_channels_have_the_layout_of_the_whole():
    """CSPNet's blocks work on one half of the channels each."""
    with shapes_only():
        _, anatomy = build('cs3darknet_s')
    assert len(anatomy.find(StreamSite, where='out')) == anatomy.num_blocks == 9


def test_a_reduction_without_padding_needs_a_larger_image():
    with shapes_only():
        _, anatomy = build('pvt_v2_b0', out_indices=[0])
    assert anatomy.smallest_side == 32  # 8 x 8 places of stride 4, whatever the last output
