"""SAM's encoder: sizes, positions of other sizes, windows, neck, files of both layouts."""

import re

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.models.backbones.vit_sam import ViTSAM
from mmseg.registry import MODELS

from rein_seg.bench.reference import attention_with_bias
from rein_seg.encoders import build_encoder, convert_weights, find_anatomy, shapes_only
from rein_seg.encoders.sam.attention import attend_with_positions, resize_table
from rein_seg.encoders.sam.model import resize_map
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod
from rein_seg.structures import BranchSite, NormSite, OpSite, ParamSite, SeqSite
from tests.encoders.tiny import ENCODERS
from tests.paths import REPO

TINY = ENCODERS['sam']
BASES = REPO / 'configs' / '_base_' / 'encoders'


def build(**change):
    return build_encoder({**TINY, **change})[0]


def image(height=32, width=48):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    ('name', 'parameters', 'channels', 'global_blocks'),
    [  # specs/conv_lora.md section 3, neck included
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


@pytest.mark.parametrize('grid', [(4, 4), (3, 5)])
def test_attention_equals_its_formula_with_gradients(grid):
    """The naive form: an (N, N) bias, from tables made for another grid too."""
    count = grid[0] * grid[1]
    generator = torch.Generator().manual_seed(2)
    shapes = [(2, 2, count, 6)] * 3 + [(7, 6), (11, 6)]
    given = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    results = []
    for compute in (attend_with_positions, attention_with_bias, naive):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        out = compute(*leaves, grid)
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for fast, plain, formula in zip(*results, strict=True):
        torch.testing.assert_close(fast, formula, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(plain, formula, rtol=1e-6, atol=1e-6)


def test_both_forms_of_attention_agree_on_prompts():
    generator = torch.Generator().manual_seed(2)
    shapes = [(2, 2, 3 + 15, 6)] * 3 + [(5, 6), (9, 6)]
    given = [torch.randn(s, generator=generator) for s in shapes]
    fast, plain = (
        compute(*given, (3, 5), num_prompts=3)
        for compute in (attend_with_positions, attention_with_bias)
    )
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


def naive(q, k, v, table_h, table_w, grid):
    height, width = grid
    tables = [
        F.interpolate(t.t()[None], size=2 * side - 1, mode='linear')[0].t()
        for t, side in ((table_h, height), (table_w, width))
    ]
    bias = torch.stack(
        [
            q[:, :, i] @ (tables[0][i // width - j // width + height - 1]
                          + tables[1][i % width - j % width + width - 1])
            for i in range(height * width)
            for j in range(height * width)
        ],
        dim=-1,
    ).unflatten(-1, (height * width, -1))  # fmt: skip
    return ((q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5 + bias).softmax(-1) @ v


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


OFFICIAL = (
    (r'^layers\.', 'blocks.'),
    (r'\.ln([12])\.', r'.norm\1.'),
    (r'\.ffn\.layers\.0\.0\.', '.mlp.lin1.'),
    (r'\.ffn\.layers\.1\.', '.mlp.lin2.'),
    (r'^patch_embed\.projection', 'patch_embed.proj'),
    (r'^channel_reduction\.', 'neck.'),
)
HUGGING_FACE = (
    (r'^blocks\.', 'layers.'),
    (r'\.norm([12])\.', r'.layer_norm\1.'),
    (r'^patch_embed\.proj', 'patch_embed.projection'),
    (r'^neck\.0', 'neck.conv1'),
    (r'^neck\.1', 'neck.layer_norm1'),
    (r'^neck\.2', 'neck.conv2'),
    (r'^neck\.3', 'neck.layer_norm2'),
)
OTHERS = ('prompt_encoder.point_embeddings.0.weight', 'mask_decoder.iou_token.weight')


def renamed(state, rules):
    for pattern, replacement in rules:
        state = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    return state


def official(encoder, prefix='image_encoder.'):
    state = {prefix + k: v.clone() for k, v in renamed(encoder.state_dict(), OFFICIAL).items()}
    return {**state, **{name: torch.ones(1) for name in OTHERS}}


def hugging_face(encoder):
    state = renamed(renamed(encoder.state_dict(), OFFICIAL), HUGGING_FACE)
    others = ('shared_image_embedding.positional_embedding', 'prompt_encoder.no_mask_embed.weight',
              'prompt_encoder.shared_embedding.positional_embedding',
              'prompt_encoder.mask_embed.conv1.weight', 'mask_decoder.upscale_conv1.weight',
              'mask_decoder.transformer.layers.0.layer_norm1.weight')  # fmt: skip
    state = {f'vision_encoder.{name}': tensor for name, tensor in state.items()}
    return {**state, **{name: torch.ones(1) for name in others}}


LAYOUTS = {
    'official': official,
    'encoder_alone': lambda e: renamed(e.state_dict(), OFFICIAL),
    'parallel': lambda e: {f'module.{k}': v for k, v in official(e).items()},
    'wrapped': lambda e: {'model': official(e)},
    'hugging_face': hugging_face,
    'mmpretrain': lambda e: {f'backbone.{k}': v for k, v in e.state_dict().items()},
}


def load(path, state, **change):
    torch.save(state, path / 'w.pth')
    cfg = {k: v for k, v in {**TINY, **change}.items() if k != 'init_seed'}
    return build_encoder({**cfg, 'checkpoint': str(path / 'w.pth')})[0]


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('neck', [False, True])
def test_layouts(layout, neck, tmp_path):
    original = build(neck=True, init_seed=3)
    encoder, own = load(tmp_path, LAYOUTS[layout](original), neck=neck), original.state_dict()
    assert set(own) - set(encoder.state_dict()) == (
        set() if neck else {name for name in own if name.startswith('channel_reduction.')}
    )
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, own[name]), name


def test_conversion_says_what_it_did():
    original = build(neck=True, img_size=(48, 32))
    converted = convert_weights(build(), official(original))
    assert str(converted) == (
        'resampled pos_embed 6x4 -> 4x4, 1 x rel_pos 11 -> 7; '
        f'left out {OTHERS[0]}, {OTHERS[1]}, neck.0.weight, neck.1.weight, neck.1.bias and 3 more'
    )


def test_positions_and_global_tables_are_resized_at_load(tmp_path):
    original = build(img_size=(48, 32), init_seed=3)
    encoder = load(tmp_path, official(original), img_size=64)
    assert torch.equal(encoder.pos_embed, resize_map(original.pos_embed, (8, 8)))
    for axis in ('h', 'w'):
        name = f'layers.1.attn.rel_pos_{axis}'
        assert torch.equal(encoder.get_parameter(name),
                           resize_table(original.get_parameter(name), 15))  # fmt: skip
    by_hand = resize_table(torch.tensor([[0.0], [1.0], [2.0]]), 5).flatten().tolist()
    assert by_hand == pytest.approx([0, 0.4, 1, 1.6, 2])
    table = torch.arange(4.0).view(1, 2, 2, 1)
    expected = F.interpolate(table.permute(0, 3, 1, 2), size=(3, 5), mode='bicubic')
    assert torch.equal(resize_map(table, (3, 5)), expected.permute(0, 2, 3, 1))


DEEPER = {**TINY['arch'], 'num_layers': 3}


@pytest.mark.parametrize(
    ('file', 'change', 'message'),
    [
        (dict(arch=DEEPER), dict, 'ViT of no usual size: width 16, 3 blocks; .* 2 blocks'),
        (dict(window_size=2), dict, r'has 3 relative positions along an axis in block 0, the'
         r' encoder 5, for windows of 3: set window_size'),
        ({}, lambda s: {**s, 'extra': torch.ones(1)}, '1 unexpected.*extra'),
        ({}, lambda s: {k: v for k, v in s.items() if 'lin2.bias' not in k},
         r'Missing: layers\.0\.ffn\.layers\.1\.bias'),
        ({}, lambda s: {k: v for k, v in s.items() if not k.endswith('pos_embed')},
         'missing|Missing'),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_explained(file, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load(tmp_path, change(official(build(**file))))


def test_files_of_other_encoders_are_refused(tmp_path):
    state = build_encoder(ENCODERS['dinov2_registers'])[0].state_dict()
    with pytest.raises(UserError, match='unexpected'):
        load(tmp_path, state)


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
