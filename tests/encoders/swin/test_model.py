"""Swin: sizes, windows, merging, files of every layout, against three other implementations."""

import re

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from timm.models.swin_transformer import SwinTransformer as TimmSwin
from torch import nn
from torchvision.models.swin_transformer import shifted_window_attention

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.encoders.swin.attention import shift_mask
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite, SeqSite, StreamSite
from tests.encoders.swin.swin_models import THREE, TINY, build, their_class
from tests.encoders.tiny import image
from tests.paths import REPO

BASES = REPO / 'configs' / '_base_' / 'encoders'


def test_base_config_has_the_published_size():
    cfg = dict(Config.fromfile(BASES / 'swin_large.py').encoder)
    assert cfg['checkpoint'].endswith('swin_large_patch4_window12_384_22k.pth')
    with shapes_only():
        encoder, _ = build_encoder(cfg)
        theirs = TimmSwin(
            img_size=384, window_size=12, embed_dim=192, depths=(2, 2, 18, 2),
            num_heads=(6, 12, 24, 48), num_classes=0, drop_path_rate=0.0)  # fmt: skip
    outputs = 2 * (192 + 384 + 768)  # norms of the first three, which a classifier lacks
    size = sum(p.numel() for p in theirs.parameters())
    assert sum(p.numel() for p in encoder.parameters()) == size + outputs
    anatomy = find_anatomy(encoder)
    assert anatomy.out_channels == anatomy.stage_channels == (192, 384, 768, 1536)
    assert anatomy.out_strides == (4, 8, 16, 32)
    assert (anatomy.stage_depths, anatomy.divisor) == ((2, 2, 18, 2), 1)


@pytest.mark.parametrize('size', [(32, 48), (30, 45), (64, 20), (12, 12), (7, 5)])
def test_equals_the_class_of_mmpretrain(size):
    """Windows that do not fit, odd merging, patches that do not fit, maps below one window."""
    ours = build(arch=THREE)
    theirs = their_class(ours)
    with torch.no_grad():
        maps, expected = ours(image(*size)), theirs(image(*size))
    for stage, (x, y) in enumerate(zip(maps, expected, strict=True)):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
        assert x.shape[2:] == tuple(-(-side // (4 * 2**stage)) for side in size)


@pytest.mark.parametrize('grid', [(8, 12), (7, 9), (5, 3)])
@pytest.mark.parametrize('block', [0, 1])
def test_attention_equals_that_of_torchvision(grid, block):
    """Independent of mmcv's code; it too pads before it shifts."""
    attention = build().stages[0].blocks[block].attn
    x = torch.randn(2, *grid, 16)
    bias = attention.position_bias()[None]
    shift = attention.shift_size if grid != (5, 3) else 0  # of one window it shifts nothing
    attention.shift_size = shift
    expected = shifted_window_attention(
        x,
        attention.qkv.weight,
        attention.proj.weight,
        bias,
        [3, 3],
        num_heads=2,
        shift_size=[shift, shift],
        qkv_bias=attention.qkv.bias,
        proj_bias=attention.proj.bias,
    )
    torch.testing.assert_close(attention(x), expected)


def test_gradients_equal_those_of_mmpretrain():
    ours = build()
    theirs = their_class(ours)
    for encoder in (ours, theirs):
        sum((m * torch.linspace(-1, 1, m.numel()).view(m.shape)).sum()
            for m in encoder(image())).backward()  # fmt: skip
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    for name, param in ours.named_parameters():
        expected = grads[re.sub(r'attn\.', 'attn.w_msa.', name)]
        error = (param.grad - expected).abs().max()
        assert error <= 1e-4 * expected.abs().max(), name


def test_mask_parts_what_the_shift_brought_together():
    """Two windows of 2 in a row, rolled by 1: 1 2 | 3 0, each row of tokens 1 above 0."""
    mask = shift_mask((2, 4), 2, 1)
    assert mask.shape == (2, 4, 4)
    rows = torch.tensor([1, 1, 0, 0])  # one window high: its last row came round from the top
    assert torch.equal(mask[0], rows[:, None] != rows)
    corners = torch.tensor([0, 1, 2, 3])  # the last window: round both ways
    assert torch.equal(mask[1], corners[:, None] != corners)


@pytest.mark.parametrize('batch', [1, 2])
def test_windows_are_rows_of_the_operations_and_whole_maps_of_all_else(batch):
    """An 8 x 12 map has 3 x 4 windows of 3, a 4 x 6 one 2 x 2."""
    seen = {}

    def note(*args):
        x, context = args[0], args[-1]
        kind = [getattr(context.site, n, None) for n in ('role', 'branch', 'where')]
        key = (context.site.block, context.site.stage, next(filter(None, kind)))
        seen[key] = (tuple(x.shape), context.layout, context.grid(x))
        grid = context.to_grid(x)
        assert torch.equal(context.from_grid(grid, x), x)
        assert tuple(grid.shape[2:]) == context.grid(x)
        return args[1] if len(args) == 3 else torch.zeros_like(x)

    class Probe(PEFTMethod):
        def connect(self, anatomy):
            for kind in (OpSite, NormSite, BranchSite, StreamSite):
                for site in anatomy.find(kind):
                    self.hook(site, note)

    encoder = build()
    Probe().attach(encoder, find_anatomy(encoder))
    encoder(image()[:batch])
    for block, stage, grid, windows, width in (
        (0, 0, (8, 12), 12, 16), (1, 0, (8, 12), 12, 16),
        (2, 1, (4, 6), 4, 32), (3, 1, (4, 6), 4, 32),
    ):  # fmt: skip
        for role, channels in (('qkv', width), ('proj', width)):
            rows = (batch * windows, 3, 3, channels)
            assert seen.pop((block, stage, role)) == (rows, 'NHWC', (3, 3))
        for kind in ('in', 'norm1', 'attn', 'mid', 'norm2', 'fc1', 'ffn', 'out'):
            assert seen.pop((block, stage, kind)) == ((batch, *grid, width), 'NHWC', grid)
        assert seen.pop((block, stage, 'fc2')) == ((batch, *grid, 4 * width), 'NHWC', grid)
    assert seen.pop((-1, 0, 'patch')) == ((batch, 8, 12, 16), 'NHWC', (8, 12))  # of the norm
    assert seen.pop((-1, 1, 'merge')) == ((batch, 4, 6, 64), 'NHWC', (4, 6))
    assert seen.pop((-1, 0, 'final')) == ((batch, 8, 12, 16), 'NHWC', (8, 12))
    assert seen.pop((-1, 1, 'final')) == ((batch, 4, 6, 32), 'NHWC', (4, 6))
    assert not seen


def test_gate_of_conv_lora_decides_for_each_window_and_each_image(monkeypatch):
    decisions = {}

    def backbone():
        peft = dict(type='ConvLoRA', targets=['qkv', 'proj', 'fc1', 'fc2'], num_experts=3)
        return MODELS.build(dict(type='PEFTBackbone', encoder=TINY, peft=peft))

    model = backbone()
    for key, layer in model.peft.layers.items():
        nn.init.normal_(layer.gate.w_gate)
        layer.gate.register_forward_hook(
            lambda m, args, out, key=key: decisions.update({key: (args[0], out[0])})
        )
    model.eval()(image())
    for key, (pooled, chosen) in decisions.items():
        windows = {'0': 12, '1': 4}[key.split('_')[1]] if '_attn_' in key else 1
        assert pooled.shape == (2 * windows, 3), key
        assert chosen.shape == (2 * windows, 1), key
    assert len(decisions) == 16
    assert any(len(chosen.unique()) > 1 for _, chosen in decisions.values())
    # padding takes part in the mean: of the first block's last window a third is real
    site = model.anatomy.find(OpSite, role='qkv', blocks=[0])[0]
    rows, layer = [], model.peft.layers['stages_0_blocks_0_attn_qkv']
    site.module.register_forward_pre_hook(lambda m, args: rows.append(args[0]))
    model(image())
    real = rows[0][11, :2] @ layer.lora_A.T  # of 8 rows the last window has 2
    assert not rows[0][11, 2:].any()
    pooled = decisions['stages_0_blocks_0_attn_qkv'][0]
    torch.testing.assert_close(pooled[11], real.sum((0, 1)) / 9)


def test_stages_behind_the_last_output_do_not_run_and_have_no_site():
    encoder = build(arch=THREE, out_indices=[1])
    encoder.stages[1].downsample.forward = encoder.stages[2].blocks[0].forward = None
    assert [m.shape[1] for m in encoder(image())] == [32]
    anatomy = find_anatomy(encoder)
    assert anatomy.stage_depths == (2, 1)
    assert (anatomy.out_channels, anatomy.out_strides) == ((32,), (8,))
    names = [s.name for kind in (ParamSite, OpSite, NormSite) for s in anatomy.find(kind)]
    assert not [n for n in names if n.startswith(('stages.2', 'stages.1.downsample'))]
    assert [n for n in names if n.startswith('stages.0.downsample')]


class Given(PEFTMethod):
    """Inserts these tokens in the blocks of the first stage."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def connect(self, anatomy):
        for site in anatomy.find(SeqSite):
            if site.stage == 0:
                self.hook(site, lambda x, c: self.tokens)


@torch.no_grad()
def test_prompts_meet_the_windows_of_their_own_image_only():
    encoder, prompts = build(), torch.randn(2, 5, 16)
    maps = []
    for given in (prompts, torch.stack((prompts[0], -prompts[1]))):
        method = Given(given)
        method.attach(encoder, find_anatomy(encoder))
        maps.append(encoder(image())[0])
        method.detach()
    torch.testing.assert_close(maps[0][0], maps[1][0])
    assert ((maps[0][1] - maps[1][1]).abs().amax(0) > 1e-4).all()  # at every place


def test_sequence_sites_know_the_merging_of_patches():
    encoder = build()
    sites = find_anatomy(encoder).find(SeqSite)
    assert [s.merging for s in sites] == [None, None, encoder.stages[0].downsample, None]


def test_compiles_to_one_graph():
    encoder = build().requires_grad_(False)
    compiled = torch.compile(encoder, backend='eager', fullgraph=True)
    for x, y in zip(compiled(image(30, 45)), encoder(image(30, 45)), strict=True):
        torch.testing.assert_close(x, y)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(arch='larg'), "encoder.arch='larg': did you mean 'large'"),
        (dict(arch=dict(embed_dims=32)), 'expected tiny, small, base, large, or a dict of embed_d'),
        (dict(arch=3), 'arch=3: expected tiny, small'),
        (dict(arch={**TINY['arch'], 'num_heads': [2, 3]}), '32 channels and 3 heads in stage 1'),
        (dict(arch={**TINY['arch'], 'num_heads': [2]}), 'expected two lists, one number for each'),
        (dict(arch={**TINY['arch'], 'depths': 2}), 'expected two lists, one number for each'),
        (dict(arch={**TINY['arch'], 'depths': [2, 0]}), r'arch.depths\[1\]=0: expected a whole'),
        (dict(window_size=0), 'window_size=0: expected a whole number, 1 or more'),
        (dict(patch_size='4'), "patch_size='4': expected a whole number"),
        (dict(ffn_ratio=0), 'ffn_ratio=0: expected a number above 0'),
        (dict(out_indices=[]), r'out_indices=\[\]: expected a list of stages'),
        (dict(out_indices=[1, 0]), r'out_indices=\[1, 0\] must rise'),
        (dict(out_indices=[5]), r'out_indices=\[5\] goes beyond the encoder: it has 2 stages'),
        (dict(pad_small_map=True), "takes no 'pad_small_map'"),
    ],
)  # fmt: skip
def test_bad_arguments(change, message):
    with pytest.raises(UserError, match=message):
        build_encoder({**TINY, **change})
