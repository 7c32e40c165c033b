"""Files of Swin as Microsoft, timm, mmpretrain and mmseg write them."""

import re

import pytest
import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformer as TimmSwin
from torch import nn

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.resampling import resize_grid
from rein_seg.errors import UserError
from tests.encoders.files import load, renamed
from tests.encoders.swin.swin_models import THREE, TINY, buffers, build, official, their_class
from tests.encoders.tiny import ENCODERS


def mmpretrain(encoder):
    return their_class(encoder).state_dict()


def segmentation(encoder):
    """Microsoft's code for segmentation: every norm, two heads."""
    state = {k: v for k, v in official(encoder).items() if not k.startswith(('norm.', 'head.'))}
    state |= {k: v for k, v in encoder.state_dict().items() if re.match(r'norm\d\.', k)}
    return {**{f'backbone.{k}': v.clone() for k, v in state.items()},
            'decode_head.conv_seg.weight': torch.ones(4, 8, 1, 1),
            'auxiliary_head.convs.0.bn.weight': torch.ones(4)}  # fmt: skip


def timm(encoder):
    state = {k: v for k, v in official(encoder).items() if 'index' not in k and 'mask' not in k}
    shifted = [(r'^layers\.(\d)\.downsample', lambda m: f'layers.{int(m[1]) + 1}.downsample')]
    return renamed(renamed(state, shifted), [(r'^head\.', 'head.fc.')])


ALL_NORMS = {
    'own': lambda e: {k: v.clone() for k, v in e.state_dict().items()},
    'mmpretrain': mmpretrain,
    'mmseg': lambda e: {
        **{f'backbone.{k}': v for k, v in mmpretrain(e).items()},
        'decode_head.conv_seg.weight': torch.ones(4, 8, 1, 1),
    },
    'segmentation': lambda e: {'state_dict': segmentation(e)},
}
CLASSIFIERS = {
    'official': lambda e: {'model': official(e)},
    'timm': timm,
    'simmim': lambda e: {
        'model': {
            **{f'encoder.{k}': v for k, v in official(e).items() if 'head' not in k},
            'encoder.mask_token': torch.ones(1, 1, 16),
            'decoder.0.weight': torch.ones(4, 8, 1, 1),
        }
    },
}


@pytest.mark.parametrize('layout', {**ALL_NORMS, **CLASSIFIERS})
@pytest.mark.parametrize('arch', [TINY['arch'], THREE], ids=['two', 'three'])
def test_layouts(layout, arch, tmp_path):
    original = build(arch=arch, init_seed=3)
    file = {**ALL_NORMS, **CLASSIFIERS}[layout](original)
    encoder, own = load({**TINY, 'arch': arch}, file, tmp_path), original.state_dict()
    last = f'norm{len(arch["depths"]) - 1}'
    for name, tensor in encoder.state_dict().items():
        if layout in CLASSIFIERS and name.startswith('norm') and not name.startswith(last):
            assert (tensor == float(name.endswith('weight'))).all(), name
        else:
            assert torch.equal(tensor, own[name]), name


def test_conversion_says_what_it_did():
    original = build(window_size=2)
    assert str(convert_weights(build(), official(original))) == (
        'resampled 4 x relative positions 3x3 -> 5x5; not in the file, started anew: '
        'norm0.weight, norm0.bias; left out head.weight, head.bias, '
        'stages.0.blocks.0.attn.relative_position_index, '
        'stages.0.blocks.1.attn.relative_position_index, '
        'stages.1.blocks.0.attn.relative_position_index, '
        'stages.1.blocks.1.attn.relative_position_index, '
        'stages.0.blocks.1.attn_mask'
    ).replace('stages.', 'layers.')


def test_final_norm_is_left_out_where_the_last_stage_is_not_an_output(tmp_path):
    original = build()
    encoder = load({**TINY, 'out_indices': [0]}, official(original), tmp_path)
    assert torch.equal(encoder.stages[0].downsample.reduction.weight,
                       original.stages[0].downsample.reduction.weight)  # fmt: skip
    assert not hasattr(encoder, 'norm1')
    assert {'norm1.weight', 'norm1.bias'} < set(
        convert_weights(encoder, official(original)).left_out
    )


class OfficialMerging(nn.Module):
    """The published merging, written from its description: four strided views side by side."""

    def __init__(self, width):
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x):
        top_left, bottom_left = x[:, 0::2, 0::2], x[:, 1::2, 0::2]
        top_right, bottom_right = x[:, 0::2, 1::2], x[:, 1::2, 1::2]
        joined = torch.cat([top_left, bottom_left, top_right, bottom_right], dim=-1)
        return self.reduction(self.norm(joined))


def test_merging_of_an_official_file_equals_the_official_one(tmp_path):
    file, merging = official(build()), OfficialMerging(16)
    nn.init.normal_(merging.norm.weight)
    nn.init.normal_(merging.norm.bias)
    file |= {f'layers.0.downsample.{k}': v for k, v in merging.state_dict().items()}
    ours = load(TINY, file, tmp_path).stages[0].downsample
    x = torch.randn(2, 6, 8, 16)
    torch.testing.assert_close(ours(x), merging(x))
    mirrored = merging(x.transpose(1, 2)).transpose(1, 2)
    assert (ours(x) - mirrored).abs().max() > 0.1  # rows and columns are not interchangeable


@pytest.mark.parametrize('moved', [True, False], ids=['timm', 'official'])
def test_features_equal_those_of_timm(moved, tmp_path):
    """A random model of timm, from its own names and from the official ones."""
    torch.manual_seed(4)
    theirs = TimmSwin(
        img_size=(48, 96), window_size=3, embed_dim=16, depths=(2, 1, 3), num_heads=(2, 4, 8),
        num_classes=5, drop_path_rate=0.0, always_partition=True).eval()  # fmt: skip
    with torch.no_grad():
        for param in theirs.parameters():
            param.add_(0.2 * torch.randn(param.shape))
    file = theirs.state_dict()
    if not moved:  # where Microsoft has it
        rule = (r'^layers\.(\d)\.downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample')
        file = buffers(renamed(file, [rule]), 'relative_position_bias_table')
        assert 'layers.0.downsample.norm.weight' in file
    ours = load({**TINY, 'arch': THREE}, file, tmp_path)
    x = torch.randn(2, 3, 48, 96)
    with torch.no_grad():
        maps = ours(x)
        final, expected = theirs.forward_intermediates(x)
        final = theirs.norm(expected[2].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        pooled = theirs.forward_head(final.permute(0, 2, 3, 1), pre_logits=True)
        torch.testing.assert_close(pooled, theirs.forward_head(theirs.forward_features(x), True))
    for stage, raw in enumerate(expected[:2]):
        normed = F.layer_norm(raw.permute(0, 2, 3, 1), raw.shape[1:2]).permute(0, 3, 1, 2)
        torch.testing.assert_close(maps[stage], normed, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(maps[2], final, rtol=1e-4, atol=1e-5)


def test_tables_of_another_window_are_resized(tmp_path):
    original = build(window_size=4, init_seed=3)
    encoder = load(TINY, official(original), tmp_path)
    name = 'stages.1.blocks.1.attn.relative_position_bias_table'
    table = original.get_parameter(name)
    expected = F.interpolate(table.t().view(1, 4, 7, 7), size=(5, 5), mode='bicubic')
    torch.testing.assert_close(encoder.get_parameter(name), expected.view(4, 25).t())
    ramp = torch.arange(7.0).view(1, 7, 1, 1).expand(1, 7, 7, 1)  # rows stay rows
    assert (
        resize_grid(ramp, mode='bicubic', size=(5, 5))[0, :, :, 0].diff(dim=1)
    ).abs().max() < 1e-5


@pytest.mark.parametrize(
    ('file', 'change', 'message'),
    [
        (dict(arch=THREE), dict, r'Swin of no usual size: width 16, blocks \[2, 1, 3\]; the encoder'
         r' is a Swin of no usual size: width 16, blocks \[2, 2\]'),
        ({}, lambda s: {**s, 'extra': torch.ones(1)}, '1 unexpected.*extra'),
        ({}, lambda s: {k: v for k, v in s.items() if 'fc2.bias' not in k},
         r'Missing: stages\.0\.blocks\.0\.ffn\.layers\.1\.bias'),
        ({}, lambda s: {**s, 'layers.0.blocks.0.attn.cpb_mlp.0.weight': torch.ones(1)},
         'Swin of version 2'),
        ({}, lambda s: {k: v[:-1] if 'bias_table' in k else v for k, v in s.items()},
         r'has 24 rows: expected a square number'),
        ({}, lambda s: {'swin.embeddings.patch_embeddings.projection.weight': torch.ones(1)},
         'Hugging Face transformers file'),
        (dict(arch={**TINY['arch'], 'num_heads': [4, 4]}), dict, 'bias_table'),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_explained(file, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load(TINY, change(official(build(**file))), tmp_path)


def test_files_of_other_encoders_are_refused(tmp_path):
    for family in ('sam', 'convnext'):
        with pytest.raises(UserError, match='unexpected'):
            load(TINY, build_encoder(ENCODERS[family])[0].state_dict(), tmp_path)
