"""SAM's encoder: sizes, windows, neck, prompts, arguments."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.models.backbones.vit_sam import ViTSAM
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite, SeqSite
from tests.encoders.tiny import ENCODERS, image
from tests.paths import REPO

TINY = ENCODERS['sam']
BASES = REPO / 'configs' / '_base_' / 'encoders'


def build(**change):
    return build_encoder({**TINY, **change})[0]


@pytest.mark.parametrize(
    ('name', 'parameters', 'channels', 'global_blocks'),
    [  # as published, neck included
        ('sam_base', 89_670_912, 768, [2, 5, 8, 11]),
        ('sam_large', 308_278_272, 1024, [5, 11, 17, 23]),
        ('sam_huge', 637_026_048, 1280, [7, 15, 23, 31]),
    ],
)
def test_base_configs_have_the_published_sizes(name, parameters, channels, global_blocks):
    cfg = dict(Config.fromfile(BASES / f'{name}.py').encoder)
    assert cfg['checkpoint'].startswith('checkpoints/sam_vit_')
    with shapes_only():
        encoder, _ = build_encoder({**cfg, 'neck': True})
        plain, _ = build_encoder(cfg)
    assert parameters == sum(p.numel() for p in encoder.parameters())
    assert encoder.out_indices == global_blocks
    windows = [i for i, layer in enumerate(encoder.layers) if not layer.attn.window_size]
    assert windows == global_blocks
    assert find_anatomy(plain).out_channels == (channels,) * 4
    assert find_anatomy(encoder).out_channels == (channels,) * 3 + (256,)
    assert find_anatomy(encoder).num_prefix == 0


def test_rein_after_the_global_blocks_has_its_published_size():
    cfg = dict(Config.fromfile(BASES / 'sam_huge.py').encoder)
    peft = dict(type='Rein', blocks=[7, 15, 23, 31])
    with shapes_only():
        backbone = MODELS.build(dict(type='PEFTBackbone', encoder=cfg, peft=peft))
    assert sum(p.numel() for p in backbone.parameters() if p.requires_grad) == 3_892_481


@pytest.mark.parametrize('size', [(32, 32), (32, 48), (56, 24)])
def test_equals_the_class_of_mmpretrain(size):
    """Same names, same numbers: windows within windows, other grids, global blocks."""
    ours = build()
    options = {k: v for k, v in TINY.items() if k not in ('type', 'init_seed')}
    theirs = ViTSAM(**options, out_channels=0)
    theirs.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        for x, y in zip(ours(image(*size)), theirs(image(*size)), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


def test_windows_are_rows_of_the_operations_and_whole_maps_of_the_branch():
    seen = {}

    def note(*args):
        context = args[-1]
        x = args[0]
        kind = getattr(context.site, 'role', None) or context.site.branch
        seen[context.site.block, kind] = (tuple(x.shape), context.layout, context.grid(x))
        return torch.zeros_like(x) if len(args) == 2 else args[1]

    class Probe(PEFTMethod):
        def connect(self, anatomy):
            for site in anatomy.find(OpSite, role=('qkv', 'proj', 'fc1')):
                self.hook(site, note)
            for site in anatomy.find(BranchSite, branch='attn'):
                self.hook(site, note, source='entry_norm')

    encoder = build()
    Probe().attach(encoder, find_anatomy(encoder))
    encoder(image())  # a 4 x 6 grid: windows of 3 make it 6 x 6
    whole = ((2, 4, 6, 16), 'NHWC', (4, 6))
    windows = ((2 * 4, 3, 3, 16), 'NHWC', (3, 3))
    assert seen[0, 'qkv'] == seen[0, 'proj'] == windows
    assert seen[1, 'qkv'] == seen[1, 'proj'] == whole
    assert {seen[block, kind] for block in (0, 1) for kind in ('attn', 'fc1')} == {whole}


def test_padding_is_zero_and_takes_part():
    """It comes after the norm, so padded keys are the projection's bias, and are not masked."""
    encoder, rows = build(), []
    encoder.layers[0].attn.qkv.register_forward_pre_hook(lambda m, args: rows.append(args[0]))
    encoder(image())
    assert not rows[0][2, 1:].any()  # of the second row of windows only one row of tokens is real
    assert rows[0][2, :1].any()


def test_neck_is_the_last_output_and_has_sites():
    encoder, plain = build(neck=True, neck_channels=24), build()
    encoder.load_state_dict(plain.state_dict(), strict=False)
    maps, raw = encoder(image()), plain(image())
    assert torch.equal(maps[0], raw[0])
    torch.testing.assert_close(maps[1], encoder.channel_reduction(raw[1]))
    anatomy = find_anatomy(encoder)
    assert anatomy.out_channels == (16, 24)
    assert anatomy.out_strides == (8, 8)
    assert [s.name for s in anatomy.find(OpSite, role='neck')] == [
        'channel_reduction.0', 'channel_reduction.2']  # fmt: skip
    assert [s.channels for s in anatomy.find(NormSite, role='neck')] == [24, 24]
    roles = {s.name: s.role for s in anatomy.find(ParamSite)}
    assert set(roles) == {name for name, _ in encoder.named_parameters()}
    assert roles['channel_reduction.1.weight'] == 'norm'
    assert roles['layers.0.attn.rel_pos_h'] == roles['pos_embed'] == 'pos'


def test_blocks_behind_the_last_output_do_not_run_and_have_no_site():
    encoder = build(out_indices=[0])
    encoder.layers[1].forward = None
    assert len(encoder(image())) == 1
    assert not [s for s in find_anatomy(encoder).find(ParamSite) if s.name.startswith('layers.1')]


class Given(PEFTMethod):
    """Inserts these tokens in every block; keeps what comes out of the last."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def connect(self, anatomy):
        for site in anatomy.find(SeqSite):
            self.hook(site, lambda x, c: self.tokens, collect=self.keep)

    def keep(self, tokens, context):
        self.last = tokens


def plain_block(block, tokens):
    """A block of a plain vision transformer with this one's parameters."""
    normed = block.ln1(tokens)
    heads = block.attn.qkv(normed).unflatten(2, (3, block.attn.num_heads, -1))
    y = F.scaled_dot_product_attention(*heads.permute(2, 0, 3, 1, 4))
    tokens = tokens + block.attn.proj(y.transpose(1, 2).flatten(2))
    return block.ffn(block.ln2(tokens), identity=tokens)


@pytest.mark.parametrize('index', [0, 1])
@torch.no_grad()
def test_prompts_are_tokens_of_a_plain_block_if_there_is_one_window_and_no_position(index):
    encoder = build(window_size=4)
    block, x = encoder.layers[index], torch.randn(2, 4, 4, encoder.embed_dims)
    for table in (block.attn.rel_pos_h, block.attn.rel_pos_w):
        table.zero_()
    prompts = torch.randn(2, 5, encoder.embed_dims)
    method = Given(prompts)
    method.attach(encoder, find_anatomy(encoder))
    y = block(x)
    method.detach()
    expected = plain_block(block, torch.cat((prompts, x.flatten(1, 2)), dim=1))
    torch.testing.assert_close(y.flatten(1, 2), expected[:, 5:])
    torch.testing.assert_close(method.last, expected[:, :5])


@torch.no_grad()
def test_the_order_of_prompts_does_not_matter_and_their_number_does():
    encoder, x = build(), image()
    prompts = torch.randn(2, 6, encoder.embed_dims)
    maps = []
    for tokens in (prompts, prompts.flip(1), prompts[:, :3]):
        method = Given(tokens)
        method.attach(encoder, find_anatomy(encoder))
        maps.append(encoder(x)[-1])
        method.detach()
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-4, atol=1e-5)
    assert (maps[0] - maps[2]).abs().max() > 1e-2


def test_compiles_to_one_graph():
    encoder = build().requires_grad_(False)
    compiled = torch.compile(encoder, backend='eager', fullgraph=True)
    for x, y in zip(compiled(image()), encoder(image()), strict=True):
        torch.testing.assert_close(x, y)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(arch='bas'), "encoder.arch='bas': did you mean 'base'"),
        (dict(arch=dict(embed_dims=32)), 'expected base, large, huge, or a dict of embed_dims'),
        (dict(arch=3), 'arch=3: expected base, large, huge'),
        (dict(arch={**TINY['arch'], 'num_heads': 3}), 'embed_dims=16 and num_heads=3: .* divides'),
        (dict(arch={**TINY['arch'], 'num_layers': 0}), 'arch.num_layers=0: expected .* 1 or more'),
        (dict(arch={**TINY['arch'], 'global_attn_indexes': [2]}),
         r'arch.global_attn_indexes=\[2\] goes beyond'),
        (dict(window_size=0), 'window_size=0: expected a whole number, 1 or more'),
        (dict(neck_channels='8'), "neck_channels='8': expected a whole number"),
        (dict(img_size=7), 'img_size=7: expected .* at least patch_size=8'),
        (dict(out_indices=[]), r'out_indices=\[\]: expected a list of blocks'),
        (dict(out_indices=[1, 0]), r'out_indices=\[1, 0\] must rise'),
        (dict(out_indices=[5]), r'out_indices=\[5\] goes beyond the encoder: it has 2 blocks'),
        (dict(out_type='raw'), "takes no 'out_type'"),
    ],
)  # fmt: skip
def test_bad_arguments(change, message):
    with pytest.raises(UserError, match=message):
        build(**change)


def test_default_outputs_are_the_global_blocks():
    assert build(out_indices=None).out_indices == [1]
    arch = {**TINY['arch'], 'global_attn_indexes': []}
    assert build(out_indices=None, arch=arch).out_indices == [0, 1]
