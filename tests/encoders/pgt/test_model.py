"""PGT: sizes, outputs, options, wrong arguments and images."""

import pytest
import torch

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.encoders.pgt import PGT
from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS, FOUR_MAPS, image

TINY = dict(embed_dims=8, depths=[1, 2], num_heads=[1, 2], group_nums=[4, 1])


@pytest.mark.parametrize(
    ('arch', 'millions'), [('tiny', 12.27), ('small', 27.54), ('base', 48.88), ('large', 86.80)]
)
def test_published_sizes(arch, millions):
    with shapes_only():
        encoder = PGT(arch)
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2) == millions
    blocks = [stage.blocks[0].attn for stage in encoder.stages]
    assert [block.side for block in blocks] == [8, 4, 1, 1]
    assert [width // 32 for width in encoder.widths] == [block.num_heads for block in blocks]


def test_the_next_stage_gets_tokens_without_the_output_norm():
    encoder, _ = build_encoder(FOUR_MAPS['pgt'])
    with torch.no_grad():
        before = encoder(image())
        encoder.norm1.weight.mul_(3.0)
        after = encoder(image())
    same = [torch.equal(x, y) for x, y in zip(before, after, strict=True)]
    assert same == [True, False, True, True]
    for x in before:  # normed over the channels
        torch.testing.assert_close(x.mean(1), torch.zeros_like(x[:, 0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(
            x.std(1, correction=0), torch.ones_like(x[:, 0]), atol=2e-2, rtol=0
        )


@pytest.mark.parametrize('padding', ['intent', 'official'])
@pytest.mark.parametrize('size', [(8, 8), (35, 50), (61, 8)])
def test_any_image_size(size, padding):
    encoder, _ = build_encoder(dict(type='PGT', arch=TINY, padding=padding, init_seed=0))
    maps = encoder(image(*size))
    height, width = size
    assert [tuple(x.shape) for x in maps] == [
        (2, 8, height // 4, width // 4),
        (2, 16, height // 8, width // 8),
    ]
    cut = [side // 8 * 8 for side in size]  # the rest fills no patch of the last stage
    torch.testing.assert_close(maps[0].isfinite().all(), torch.tensor(True))
    if padding == 'intent' and all(side // 4 % 2 == 0 for side in size):
        again = encoder(image(*size)[..., : cut[0], : cut[1]])
        torch.testing.assert_close(maps[-1], again[-1])


def test_an_image_smaller_than_a_patch_is_an_error():
    encoder, _ = build_encoder(FOUR_MAPS['pgt'])
    with pytest.raises(
        UserError, match=r'PGT takes .* 32 pixels or more, not \(31, 64\) .* to \(32, 64\)'
    ):
        encoder(image(31, 64))
    first, _ = build_encoder({**FOUR_MAPS['pgt'], 'out_indices': [0, 1]})
    assert first(image(8, 9))[1].shape == (2, 16, 1, 1)


def test_stochastic_depth_rises_over_all_blocks_and_rests_in_eval_mode():
    encoder = PGT({**TINY, 'depths': [2, 3]}, drop_path_rate=0.4)
    blocks = [block for stage in encoder.stages for block in stage.blocks]
    rates = [block.drop_path1.drop_prob for block in blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert rates == [block.drop_path2.drop_prob for block in blocks]
    torch.manual_seed(0)
    a, b = encoder(image()), encoder(image())
    assert not torch.equal(a[1], b[1])
    encoder.eval()
    assert torch.equal(encoder(image())[1], encoder(image())[1])


def test_options_of_the_projections():
    encoder = PGT(TINY, qkv_bias=False, patch_norm=False, mlp_ratio=2)
    names = {name for name, _ in encoder.named_parameters()}
    assert 'stages.0.blocks.0.attn.q.bias' not in names
    assert 'stages.0.blocks.0.attn.proj.bias' in names
    assert 'stages.1.transform.norm.weight' not in names
    assert encoder.stages[1].blocks[0].ffn.layers[1].weight.shape == (16, 32)
    assert find_anatomy(encoder).out_strides == (4, 8)


def test_random_weights_of_a_seed_start_truncated_normal():
    encoder, _ = build_encoder(ENCODERS['pgt'])
    weight = torch.cat([b.ffn.layers[1].weight.flatten() for b in encoder.stages[0].blocks])
    assert 0.017 < weight.std() < 0.023
    assert not encoder.stages[1].blocks[0].attn.kv.bias.any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='huge'), "encoder.arch='huge': .*large"),
        (dict(arch={**TINY, 'depths': [1]}), r'depths=\[1\], .*one number for each stage'),
        (dict(arch={**TINY, 'num_heads': [1, 3]}), '16 channels and 3 heads in stage 1'),
        (dict(arch={**TINY, 'group_nums': [8, 1]}), r'group_nums\[0\]=8: .*square.* 4 or 9'),
        (dict(arch={**TINY, 'group_nums': [0, 1]}), r'group_nums\[0\]=0: .*1 or more'),
        (dict(arch=TINY, padding='zeros'), "padding='zeros': expected intent or official"),
        (
            dict(arch=TINY, drop_path_rate=1),
            'drop_path_rate=1: .* from 0 to below 1',
        ),
        (dict(arch=TINY, mlp_ratio=0), 'mlp_ratio=0: expected a number above 0'),
        (dict(arch=TINY, out_indices=[0, 2]), r'out_indices=\[0, 2\] goes beyond'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(UserError, match=message):
        PGT(**options)
