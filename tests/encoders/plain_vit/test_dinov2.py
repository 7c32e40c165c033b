"""DINOv2: sizes, registers, positions of other sizes and their cache, its base configs."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.checks import default_out_indices
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.structures import NormSite, ParamSite
from tests.encoders.tiny import ENCODERS, image
from tests.paths import REPO

TINY = ENCODERS['dinov2_registers']
BASES = REPO / 'configs' / '_base_' / 'encoders'


def build(**change):
    return build_encoder({**TINY, **change})[0]


@pytest.mark.parametrize(
    ('depth', 'expected'),
    [
        (24, [7, 11, 15, 23]),
        (12, [2, 5, 8, 11]),
        (40, [9, 19, 29, 39]),
        (4, [0, 1, 2, 3]),
        (2, [0, 1]),
        (1, [0]),
    ],
)
def test_default_outputs(depth, expected):
    assert default_out_indices(depth) == expected


@pytest.mark.parametrize(
    ('name', 'parameters', 'channels'),
    [  # as published, less final norm and mask token, plus registers
        ('dinov2_small', 21_993_216 - 3 * 384, 384),
        ('dinov2_base', 86_453_760 - 3 * 768, 768),
        ('dinov2_large', 304_199_680 - 3 * 1024, 1024),
        ('dinov2_large_reg4', 304_199_680 - 3 * 1024 + 4 * 1024, 1024),
        ('dinov2_giant', None, 1536),
        ('clip_large', 304_199_680 - 3 * 1024 - 1024 + 2 * 1024 - 48 * 1024, 1024),
    ],
)
def test_base_configs_have_the_published_sizes(name, parameters, channels):
    cfg = dict(Config.fromfile(BASES / f'{name}.py').encoder)
    file = cfg.pop('checkpoint')
    assert file.startswith('checkpoints/')
    # the name decides whether a missing file may be downloaded
    assert cfg.pop('checkpoint_url').endswith(file.removeprefix('checkpoints'))
    cfg.pop('name')
    with torch.device('meta'):
        encoder = MODELS.build(cfg)
    assert parameters in (None, sum(p.numel() for p in encoder.parameters()))
    anatomy = find_anatomy(encoder)
    assert anatomy.out_channels == (channels,) * 4
    assert anatomy.num_prefix == 1 + cfg.get('num_registers', 0)
    if name == 'dinov2_giant':
        assert encoder.layers[0].ffn.w3.weight.shape == (1536, 4096)


def test_registers_stand_between_class_token_and_patches():
    encoder, seen = build(out_type='raw'), []
    encoder.layers[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    out = encoder(image())
    assert out[0].shape == (2, 1 + 2 + 4 * 6, 16)
    assert torch.equal(seen[0][:, 1:3], encoder.register_tokens.expand(2, -1, -1))
    assert torch.equal(seen[0][0, 0], (encoder.cls_token + encoder.pos_embed[:, :1])[0, 0])
    maps = build()(image())
    assert maps[0].shape == (2, 16, 4, 6)
    assert torch.equal(maps[1].flatten(2).transpose(1, 2), out[1][:, 3:])


def test_register_tokens_and_final_norm_are_sites():
    roles = {s.name: s.role for s in find_anatomy(build(final_norm=True)).find(ParamSite)}
    assert roles['register_tokens'] == 'token'
    early = find_anatomy(build(final_norm=True, out_indices=[0]))
    assert [s.name for s in early.find(NormSite, role='final')] == ['ln1']


def test_final_norm_acts_on_every_output_and_not_on_the_stream():
    encoder = build(final_norm=True)
    torch.nn.init.normal_(encoder.ln1.weight)
    plain = build()
    for normed, raw in zip(encoder(image()), plain(image()), strict=True):
        expected = encoder.ln1(raw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(normed, expected)


def test_blocks_behind_the_last_output_do_not_run():
    encoder = build(out_indices=[0])
    encoder.layers[1].forward = None
    assert len(encoder(image())) == 1


@pytest.mark.parametrize(
    ('registers', 'change', 'options'),
    [
        (0, {}, dict(scale_factor=(5.1 / 4, 6.1 / 4))),
        (2, {}, dict(size=(5, 6), antialias=True)),
        (2, dict(antialias=False, interpolate_offset=0.2), dict(scale_factor=(5.2 / 4, 6.2 / 4))),
    ],
)
def test_rule_of_resizing_follows_from_registers_or_is_set(registers, change, options):
    encoder = build(num_registers=registers, **change)
    grid = encoder.pos_embed[:, 1:].reshape(1, 4, 4, 16).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, mode='bicubic', **options).flatten(2).transpose(1, 2)
    found = encoder.positions((5, 6))
    assert torch.equal(found[:, :1], encoder.pos_embed[:, :1])
    torch.testing.assert_close(found[:, 1:], expected)
    assert encoder.positions((4, 4)) is encoder.pos_embed
    assert not torch.equal(encoder.positions((2, 8)), encoder.pos_embed)  # as many, not square


def test_resized_positions_are_kept_while_nothing_changes():
    encoder = build().requires_grad_(False)
    kept = encoder.positions((4, 6))
    assert encoder.positions((4, 6)) is kept
    assert encoder.positions((6, 4)).shape == kept.shape
    assert not torch.equal(encoder.positions((6, 4)), kept)
    encoder.load_state_dict({k: v * 2 for k, v in encoder.state_dict().items()})
    torch.testing.assert_close(encoder.positions((4, 6)), 2 * kept)
    encoder.double()
    assert encoder.positions((4, 6)).dtype == torch.float64


def round_trip(encoder):
    with torch.no_grad():
        encoder.pos_embed.add_(0.1)
    encoder.positions((4, 6))
    encoder.half().float()


def from_vector(encoder):
    vector = torch.nn.utils.parameters_to_vector(encoder.parameters())
    torch.nn.utils.vector_to_parameters(2 * vector, encoder.parameters())


def replace_data(encoder):
    for factor in (2, 3):  # the second may come to lie where the first values were
        encoder.pos_embed.data = factor * encoder.pos_embed.data


@pytest.mark.parametrize('change', [round_trip, from_vector, replace_data])
def test_resized_positions_follow_new_values(change):
    encoder = build().requires_grad_(False)
    encoder.positions((4, 6))
    change(encoder)
    fresh = encoder.resize_positions((4, 6))
    assert torch.equal(encoder.positions((4, 6)), fresh)


def test_resized_positions_are_not_kept_while_they_train():
    encoder = build()
    encoder.requires_grad_(False)(image())
    encoder.requires_grad_(True)
    encoder.positions((4, 6)).sum().backward()
    assert encoder.pos_embed.grad.any()
    with torch.no_grad():
        before = encoder.positions((4, 6))
        encoder.pos_embed.data.mul_(2)
        torch.testing.assert_close(encoder.positions((4, 6)), 2 * before)


def test_copies_keep_positions_of_their_own():
    encoder = build().requires_grad_(False)
    kept = encoder.positions((4, 6))
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        for _ in range(4):  # whatever version the original had reached
            twin.pos_embed.mul_(2)
            torch.testing.assert_close(
                twin.positions((4, 6)), kept * twin.pos_embed[0, 0, 0] / encoder.pos_embed[0, 0, 0]
            )
    assert encoder.positions((4, 6)) is kept


def test_inference_mode_leaves_nothing_that_training_could_stumble_over():
    encoder = build().requires_grad_(False)
    with torch.inference_mode():
        encoder(image())
    encoder.cls_token.requires_grad_(True)
    sum(m.square().sum() for m in encoder(image())).backward()
    assert encoder.cls_token.grad.any()


@pytest.mark.parametrize('family', ['dinov2_registers', 'clip_tower'])
def test_compiles_to_one_graph_at_other_sizes_too(family):
    encoder, _ = build_encoder(ENCODERS[family])
    encoder.requires_grad_(False)(image())  # positions of this size are kept by now
    compiled = torch.compile(encoder, backend='eager', fullgraph=True)
    for x, y in zip(compiled(image()), encoder(image()), strict=True):
        torch.testing.assert_close(x, y)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(arch='larg'), "encoder.arch='larg': did you mean 'large'"),
        (dict(arch=dict(embed_dims=32)), 'or a dict of embed_dims, num_layers, num_heads'),
        (dict(arch={**TINY['arch'], 'ffn_type': 'swiglu'}), "ffn_type='swiglu': expected"),
        (dict(out_type='cls_token'), "out_type='cls_token': expected one of"),
        (dict(interpolate_offset=1.5), 'interpolate_offset=1.5: expected'),
        (dict(num_registers=-1), 'num_registers=-1: expected a whole number, 0 or more'),
        (dict(num_registers='2'), "num_registers='2': expected a whole number"),
        (dict(arch=3), 'arch=3: expected small, base, .* or a dict of embed_dims'),
        (dict(arch={**TINY['arch'], 'num_layers': 0}), 'arch.num_layers=0: expected .* 1 or more'),
        (dict(arch={**TINY['arch'], 'num_heads': 3}), 'embed_dims=16 and num_heads=3: .* divides'),
        (dict(patch_size=0), 'patch_size=0: expected a whole number, 1 or more'),
        (dict(patch_size=8.0), 'patch_size=8.0: expected a whole number'),
        (dict(img_size=7), 'img_size=7: expected .* at least patch_size=8'),
        (dict(img_size=(32, 4)), r'img_size=\(32, 4\): expected .* at least patch_size=8'),
        (dict(img_size='32'), "img_size='32': expected a side in pixels"),
        (dict(img_size=(32, 32, 3)), 'expected a side in pixels'),
        (dict(out_indices=1), r'out_indices=1: expected a list of blocks'),
        (dict(interpolate_offset='no'), "interpolate_offset='no': expected a number"),
        (dict(layer_scale_init_value=None), 'layer_scale_init_value=None: expected a number'),
        (dict(layer_scale_init_value=0), 'layer_scale_init_value=0: expected more than 0'),
        (dict(num_register=4), "no 'num_register'.*did you mean 'num_registers'"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(UserError, match=message):
        build(**change)


def test_raw_outputs_are_no_maps():
    anatomy = find_anatomy(build(out_type='raw'))
    assert anatomy.no_maps is not None and 'set out_type="featmap"' in anatomy.no_maps
    with pytest.raises(UserError, match='set out_type="featmap"'):
        PEFTBackbone({**TINY, 'out_type': 'raw'}, dict(type='Frozen'))
