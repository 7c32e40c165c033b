"""SAM's files of both layouts: names, other sizes, what does not fit."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.sam.attention import resize_table
from rein_seg.encoders.sam.model import resize_map
from rein_seg.errors import UserError
from tests.encoders.files import load, renamed
from tests.encoders.tiny import ENCODERS

TINY = ENCODERS['sam']


def build(**change):
    return build_encoder({**TINY, **change})[0]


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


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('neck', [False, True])
def test_layouts(layout, neck, tmp_path):
    original = build(neck=True, init_seed=3)
    encoder, own = (
        load({**TINY, 'neck': neck}, LAYOUTS[layout](original), tmp_path),
        original.state_dict(),
    )
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
        f'left out {OTHERS[0]}, {OTHERS[1]}, neck.0.weight, neck.1.weight, neck.1.bias, '
        'neck.2.weight, neck.3.weight, neck.3.bias'
    )


def test_positions_and_global_tables_are_resized_at_load(tmp_path):
    original = build(img_size=(48, 32), init_seed=3)
    encoder = load({**TINY, 'img_size': 64}, official(original), tmp_path)
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
        load(TINY, change(official(build(**file))), tmp_path)


def test_files_of_other_encoders_are_refused(tmp_path):
    state = build_encoder(ENCODERS['dinov2_registers'])[0].state_dict()
    with pytest.raises(UserError, match='unexpected'):
        load(TINY, state, tmp_path)
