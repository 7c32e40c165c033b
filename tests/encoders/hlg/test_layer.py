"""Layers of HLG against a slow form of them: padding, any shape, prompts."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders.hlg.layer import GlobalLayer, LocalToGlobalLayer, PromptEmbedding
from rein_seg.structures import RunState
from tests.encoders.hlg.slow_layer import attention, bias_of, weigh


def build(kind=LocalToGlobalLayer, channels=32, heads=2, **options):
    """A layer in double precision, with weights that show everywhere."""
    torch.manual_seed(0)
    layer = kind(channels, channels, heads, down=False, state=RunState(), **options)
    with torch.no_grad():
        for param in layer.parameters():
            param.add_(0.3 * torch.randn(param.shape))
    return layer.double().eval()


def after_attention(layer, y, prompts=0):
    """The tokens of a map (B, H, W, C) behind smoothing; ``prompts`` are (B, P, C) tokens."""
    layer.spatial_smooth = torch.nn.ModuleList([Zero()])  # then y is GELU(x)
    if not prompts:
        return layer.attend(y)
    tokens = torch.randn(len(y), prompts, y.shape[-1], dtype=torch.double)
    layer.middle.register_forward_pre_hook(lambda m, args: torch.cat((tokens, args[0]), dim=1))
    layer.state.num_prompts = prompts
    return tokens, layer.attend(y)


class Zero(torch.nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


@pytest.mark.parametrize('dilated', [False, True])
@pytest.mark.parametrize('size', [(7, 14), (9, 5), (3, 8), (1, 2)])
@torch.no_grad()
def test_pixels_see_the_members_on_the_map_alone(size, dilated):
    """Sizes that 7 divides, larger and smaller than a window."""
    layer = build(dilated=dilated)
    x = torch.randn(2, *size, 32, dtype=torch.double)
    found = after_attention(layer, x)
    expected = torch.stack([attention(layer, F.gelu(y).flatten(0, 1), size) for y in x])
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('dilated', [False, True])
@torch.no_grad()
def test_prompts_are_members_of_each_window_and_keys_of_each_pixel(dilated):
    layer, size = build(dilated=dilated), (5, 8)
    x = torch.randn(2, *size, 32, dtype=torch.double)
    prompts, found = after_attention(layer, x, prompts=3)
    tokens = torch.cat((prompts, F.gelu(x).flatten(1, 2)), dim=1)
    expected = torch.stack([attention(layer, y, size, prompts=3) for y in tokens])
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
    assert layer.state.num_prompts == 3


@torch.no_grad()
def test_the_last_stage_attends_to_all_with_prompts_without_a_place():
    layer, (height, width) = build(GlobalLayer), (2, 3)
    x = torch.randn(1, height, width, 32, dtype=torch.double)
    prompts = torch.randn(1, 2, 32, dtype=torch.double)
    layer.middle.register_forward_pre_hook(lambda m, args: torch.cat((prompts, args[0]), dim=1))
    found = layer.attend(x)[0]
    y = torch.cat((prompts, x.flatten(1, 2)), dim=1)[0]
    q, k, v = layer.q(y), layer.k(y), layer.v(y)
    zero, mixed = torch.zeros(2, dtype=torch.double), []
    places = [None, None, *((i, j) for i in range(height) for j in range(width))]
    for token, place in enumerate(places):
        biases = [
            zero
            if None in (place, other)
            else bias_of(layer.pos_global, place[0] - other[0], place[1] - other[1])
            for other in places
        ]
        mixed.append(weigh(q[token], k, v, biases, 2))
    expected = y + layer.norm1(layer.global_attn.proj(torch.stack(mixed)))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@torch.no_grad()
def test_both_behaviours_differ_in_the_global_bias_alone_where_nothing_is_padded():
    x = torch.randn(1, 14, 14, 32, dtype=torch.double)
    intent, official = (build(dilated=True, behaviour=b) for b in ('intent', 'official'))
    assert not torch.allclose(intent.attend(x), official.attend(x))
    for layer in (intent, official):
        layer.pos_global.pos3[2].weight.zero_()  # then the bias is the same for all offsets
    torch.testing.assert_close(intent.attend(x), official.attend(x))


@torch.no_grad()
def test_a_prompt_enters_the_next_stage_as_a_map_of_itself():
    """Away from the border of a large map of equal tokens: padding takes no part."""
    torch.manual_seed(0)
    layer = LocalToGlobalLayer(16, 32, 2, dilated=False, down=True, state=RunState()).eval()
    tokens = torch.randn(2, 3, 16)
    copies = tokens.repeat_interleave(2, dim=1)[:, None].expand(-1, 2, -1, -1)
    found = PromptEmbedding(layer)(copies)
    large = tokens.flatten(0, 1)[..., None, None].expand(-1, -1, 9, 9)
    expected = layer.embed(large)[:, 2, 2].unflatten(0, (2, 3))
    torch.testing.assert_close(found[:, 0], expected)


def test_branches_are_dropped_in_training_only():
    layer = build(dilated=False, drop_path=0.999)
    layer.state.grid, x = (4, 4), torch.randn(1, 16, 32, dtype=torch.double)
    with torch.no_grad():
        kept = layer(x)
        layer.mlp_drop.train(), layer.attn_drop.train()
        torch.manual_seed(0)
        dropped = layer(x)
    assert not torch.allclose(kept, dropped)
    assert torch.allclose(layer.mlp_drop(x), torch.zeros_like(x))
