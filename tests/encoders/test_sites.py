"""Every kind of site does its work on every family, whatever the prefix tokens."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError
from rein_seg.models.checkpointing import checkpoint_blocks
from rein_seg.structures import (
    BranchSite,
    NormSite,
    OpSite,
    ParamSite,
    SeqSite,
    StreamSite,
)
from tests.encoders.probe import Probe
from tests.encoders.tiny import ENCODERS, image

FAMILIES = sorted(ENCODERS)
CONVOLUTIONS = ('resnet', 'ddrnet', 'efficientnet', 'regnet')
TOKEN_FAMILIES = [name for name in FAMILIES if not name.startswith(('convnext', *CONVOLUTIONS))]
FFN_FAMILIES = [name for name in FAMILIES if not name.startswith((*CONVOLUTIONS, 'hlg'))]
# tables of absolute positions, where there is not one
POSITIONS = {
    'pvt_v1': 2,
    **dict.fromkeys(
        ('beit', 'dinov3', 'hlg', 'pgt', 'pvt_linear', 'pvt_v2', 'pvtv2', 'swin', 'swinv2'), 0
    ),
}


def run(family, find, function, *, size=(32, 48), **options):
    """Returns maps without and with ``function`` hooked to the sites ``find`` picks."""
    images = image(*size)
    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    with torch.no_grad():
        before = encoder(images)
        probe = Probe(find(anatomy), function, **options)
        probe.attach(encoder, anatomy)
        after = encoder(images)
        probe.detach()
        again = encoder(images)
    for x, y in zip(before, again, strict=True):
        assert torch.equal(x, y)
    return before, after


# a ResNetV2 standardises its weights, so it has no operations to update
@pytest.mark.parametrize('family', [name for name in FAMILIES if name != 'resnetv2'])
def test_op_sees_input_and_output_of_every_operation(family):
    seen = {}

    def check(x, y, context):
        op = context.site.module
        expected = (
            F.linear(x, op.weight, op.bias)
            if isinstance(op, nn.Linear)
            else F.conv2d(x, op.weight, op.bias, op.stride, op.padding, op.dilation, op.groups)
        )
        torch.testing.assert_close(y, expected)
        seen[context.site.name] = seen.get(context.site.name, 0) + 1
        return y

    def find(anatomy):
        return anatomy.find(OpSite)

    before, after = run(family, find, check)
    encoder, _ = build_encoder(ENCODERS[family])
    ops = {n for n, m in encoder.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    reached = {site.name for site in find_anatomy(encoder).find(ParamSite)}
    ops = {n for n in ops if f'{n}.weight' in reached}
    # networks that compute biases of positions
    ops = {n for n in ops if '.pos_' not in n and '.cpb_mlp.' not in n}
    # HLG's values of pixels, and of windows
    twice = {n for n in ops if n.startswith('block1.') and n.endswith('.v')}
    assert seen == {name: 1 + (name in twice) for name in ops}
    for x, y in zip(before, after, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize('family', FAMILIES)
def test_norm_output_can_be_scaled_along_its_channels(family):
    def scale(x, y, context):
        channel = {'NLC': -1, 'NHWC': -1, 'NCHW': 1}[context.layout]
        assert y.shape[channel] == context.site.channels
        gamma = torch.linspace(0.5, 1.5, y.shape[channel])
        shape = [1] * y.dim()
        shape[channel] = -1
        return y * gamma.view(shape)

    _, hooked = run(family, lambda a: a.find(NormSite), scale)
    encoder, _ = build_encoder(ENCODERS[family])
    for site in find_anatomy(encoder).find(NormSite):
        norm = site.module
        gamma = torch.linspace(0.5, 1.5, site.channels)
        norm.weight.data *= gamma
        if hasattr(norm, 'bias'):
            norm.bias.data *= gamma
    with torch.no_grad():
        merged = encoder(image())
    for x, y in zip(hooked, merged, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', FAMILIES)
def test_stream_out_of_a_block_is_stream_in_of_the_next(family):
    def push(x, context):
        return 0.1 * torch.sin(x)

    encoder, _ = build_encoder(ENCODERS[family])
    stage = 0 if find_anatomy(encoder).stage_depths[0] > 1 else 1

    def sites(where, depth):
        def find(anatomy):
            found = anatomy.find(StreamSite, where=where)
            return [s for s in found if s.stage == stage and s.depth == depth]

        return find

    _, out = run(family, sites('out', 0), push)
    _, into = run(family, sites('in', 1), push)
    torch.testing.assert_close(out[-1], into[-1])


@pytest.mark.parametrize('family', [name for name in TOKEN_FAMILIES if name != 'hlg'])
def test_stream_mid_equals_a_change_of_the_attention_branch(family):
    """Adding a constant after the attention is adding it to the branch before the sum."""

    def constant(x, context):
        return torch.linspace(-1, 1, x.shape[-1]).expand(x.shape)

    _, mid = run(family, lambda a: a.find(StreamSite, where='mid'), constant)
    _, branch = run(family, lambda a: a.find(BranchSite, branch='attn'), constant)
    for x, y in zip(mid, branch, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', FFN_FAMILIES)
@pytest.mark.parametrize('source', ['exit', 'entry_raw', 'entry_norm'])
def test_branch_zero_adapter_changes_nothing_and_sees_the_right_tensor(family, source):
    shapes = set()

    def nothing(x, context):
        assert context.to_tokens(x).shape[-1] in (context.site.channels,)
        shapes.add((context.site.branch, context.layout))
        return torch.zeros_like(x)

    def find(anatomy):
        return anatomy.find(BranchSite, branch='ffn')

    encoder, _ = build_encoder(ENCODERS[family])
    if source == 'entry_norm' and find(find_anatomy(encoder))[0].entry_norm is None:
        with pytest.raises(ValueError, match='has no entry_norm'):  # norms end the branches
            run(family, find, nothing, source=source)
        return
    before, after = run(family, find, nothing, source=source)
    for x, y in zip(before, after, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0)
    assert shapes


@pytest.mark.parametrize('family', ['dinov2', 'dinov2_swiglu', 'convnext'])
def test_branch_before_and_after_layer_scale_differ_by_the_scale(family):
    """LayerScale is 0.5 in these encoders: c before it is c / 2 after it."""

    def before_scale(x, context):
        return torch.ones_like(x)

    def after_scale(x, context):
        return torch.full_like(x, 0.5)

    find = lambda a: a.find(BranchSite, branch='ffn')  # noqa: E731
    _, pre = run(family, find, before_scale, after_scale=False)
    encoder, _ = build_encoder(ENCODERS[family])
    if family == 'convnext':
        assert encoder.stages[0][0].gamma.unique().item() == 0.5
        _, post = run(family, find, after_scale)
        torch.testing.assert_close(pre[-1], post[-1], rtol=1e-4, atol=1e-5)
    else:
        gamma = encoder.layers[0].ffn.gamma2.weight.detach()

        def scaled(x, context):
            return torch.ones_like(x) * gamma

        _, post = run(family, find, scaled)
        torch.testing.assert_close(pre[-1], post[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', ['convnext', 'convnext_conv'])
def test_branch_conv_of_convnext_is_parallel_to_the_depthwise_convolution(family):
    def double(x, context):
        conv = context.site.entry_raw.module.depthwise_conv
        return F.conv2d(x, conv.weight, conv.bias, padding=3, groups=x.shape[1])

    _, hooked = run(family, lambda a: a.find(BranchSite, branch='conv'), double, source='entry_raw')
    encoder, _ = build_encoder(ENCODERS[family])
    for site in find_anatomy(encoder).find(OpSite, role='dw'):
        site.module.weight.data *= 2
        site.module.bias.data *= 2
    with torch.no_grad():
        doubled = encoder(image())
    torch.testing.assert_close(hooked[-1], doubled[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', FAMILIES)
def test_grid_view_round_trips_and_leaves_prefix_tokens_alone(family):
    def blur_free(x, context):
        grid = context.to_grid(x)
        assert grid.shape[1] == context.site.channels
        assert grid.shape[-1] * 2 == grid.shape[-2] * 3  # a 64 x 96 image is not square
        back = context.from_grid(grid, x)
        assert back.shape == x.shape
        tokens = context.to_tokens(x)
        torch.testing.assert_close(context.from_tokens(tokens, x), back)
        if context.num_prefix:
            assert not back[:, : context.num_prefix].any()
            torch.testing.assert_close(back[:, context.num_prefix :], tokens)
        return torch.zeros_like(x)

    run(family, lambda a: a.find(StreamSite, where='out'), blur_free, size=(64, 96))


@pytest.mark.parametrize('family', FAMILIES)
def test_param_roles(family):
    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    sites = anatomy.find(ParamSite)
    roles = {site.name: site.role for site in sites}
    biases = {n for n in roles if n.endswith('bias')}
    assert {n for n, role in roles.items() if role in ('bias', 'norm_bias')} == biases
    assert 'norm' in roles.values()
    if family in TOKEN_FAMILIES:
        tables = [role for n, role in roles.items() if n.rstrip('12').endswith('pos_embed')]
        assert tables == ['pos'] * POSITIONS.get(family, 1)
        matrices = [role for name, role in roles.items() if name.endswith('attn.proj.weight')]
        assert matrices == ['weight'] * anatomy.num_blocks
    if family == 'swin':  # "bias" in its name, but no bias
        assert roles['stages.1.blocks.0.attn.relative_position_bias_table'] == 'pos'
        assert roles['stages.0.downsample.reduction.weight'] == 'weight'
        assert set(roles) == {name for name, _ in encoder.named_parameters()}
    if family == 'beit':
        assert roles['model.blocks.0.attn.relative_position_bias_table'] == 'pos'
    if family == 'dinov3':
        assert roles['model.reg_token'] == 'token'
        assert roles['model.blocks.1.gamma_2'] == 'scale'
    if family == 'dinov2':
        assert roles['layers.1.ffn.gamma2.weight'] == 'scale'
    if family == 'convnext':
        assert roles['stages.1.0.gamma'] == 'scale'
    assert all(site.param is dict(encoder.named_parameters())[site.name] for site in sites)


def test_sites_end_at_the_last_output():
    encoder, _ = build_encoder({**ENCODERS['vit'], 'out_indices': [0, 1]})
    anatomy = find_anatomy(encoder)
    assert anatomy.num_blocks == 2
    assert not [s for s in anatomy.find(ParamSite) if s.name.startswith('layers.2')]


def test_find_says_what_there_is():
    encoder, _ = build_encoder(ENCODERS['convnext'])
    anatomy = find_anatomy(encoder)
    with pytest.raises(UserError, match="'convnext' encoder has no OpSite with role=.*fc1"):
        anatomy.find(OpSite, role='qkv')
    with pytest.raises(UserError, match='has no SeqSite'):
        anatomy.find(SeqSite)
    with pytest.raises(UserError, match=r'block 7 does not exist: .* 3 blocks \(0 to 2\)'):
        anatomy.find(OpSite, blocks=[7])


@pytest.mark.parametrize(
    ('family', 'change'),
    [
        ('convnext', dict(out_indices=[0])),
        ('swin', dict(out_indices=[0])),
        ('vit', dict(out_indices=[0, 1], final_norm=True)),
    ],
)
def test_full_trains_nothing_behind_the_last_output(family, change):
    encoder, _ = build_encoder({**ENCODERS[family], **change})
    sites = find_anatomy(encoder).find(ParamSite)
    for param in encoder.parameters():
        param.requires_grad_(False)
    for site in sites:
        site.param.requires_grad_(True)
    sum((m * torch.randn(m.shape)).sum() for m in encoder(image())).backward()
    assert not [site.name for site in sites if site.param.grad is None]


class Shift(nn.Module):
    """Adds a learned vector, or inserts it as one token."""

    def __init__(self, channels, insert):
        super().__init__()
        self.vector = nn.Parameter(torch.linspace(-1, 1, channels))
        self.insert = insert

    def forward(self, x, context):
        if self.insert:
            return self.vector.expand(x.shape[0], 2, -1)
        return torch.sin(x) * self.vector.expand(x.shape)


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (SeqSite, {}),
        (BranchSite, dict(source='entry_norm')),
        (BranchSite, dict(source='exit')),
        (StreamSite, {}),
    ],
)
def test_hooks_that_pass_tensors_survive_activation_checkpointing(kind, options):
    """Gradients equal those without, and nothing is left over after the backward pass."""
    grads = []
    for saving in (False, True):
        encoder, _ = build_encoder(ENCODERS['dinov2'])
        anatomy = find_anatomy(encoder)
        encoder.requires_grad_(False)
        wanted = {StreamSite: dict(where='mid'), BranchSite: dict(branch='ffn')}.get(kind, {})
        adapter = Shift(32, insert=kind is SeqSite)
        Probe(anatomy.find(kind, **wanted), adapter, **options).attach(encoder, anatomy)
        if saving:
            checkpoint_blocks(anatomy)
        for _ in range(2):
            total = sum((m * torch.linspace(-1, 1, m.numel()).view(m.shape)).sum()
                        for m in encoder(image()))  # fmt: skip
            total.backward()
            assert anatomy.state.num_prompts == 0
        grads.append(adapter.vector.grad)
    torch.testing.assert_close(*grads)
    assert grads[0].abs().min() > 0
