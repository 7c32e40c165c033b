"""LV-Adapter's neck and loss: what the specification of the reconstruction promises."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.heads import AlignmentHead
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.neck_config import build_neck
from rein_seg.necks import LVAdapter
from rein_seg.registry import reconstructions
from rein_seg.structures import Features

CHANNELS, STRIDES, DIMS, CLASSES = (8, 12, 16, 20), (4, 8, 16, 32), 10, 5


def build(channels=CHANNELS, strides=STRIDES, **options):
    torch.manual_seed(0)
    return LVAdapter(channels, strides, DIMS, **{'out_channels': 16, **options})


def draw(channels=CHANNELS, strides=STRIDES, side=64):
    torch.manual_seed(1)
    maps = [
        torch.randn(2, c, side // s, 2 * side // s) for c, s in zip(channels, strides, strict=True)
    ]
    return Features(tuple(maps), text=torch.randn(CLASSES, DIMS))


def moved(neck):
    """Away from the start: the words have an influence."""
    torch.manual_seed(2)
    for attention in neck.attentions:
        torch.nn.init.normal_(attention.out_proj.weight, std=0.5)
    return neck


def close(a, b):
    return all(torch.allclose(x, y, atol=1e-5) for x, y in zip(a, b, strict=True))


def test_the_output_is_the_pyramid_at_the_start():
    neck, features = build(), draw()
    found = neck(features)
    for x, p in zip(found.maps, neck.fpn(features.maps), strict=True):
        assert torch.equal(x, p)
    assert [tuple(x.shape[1:]) for x in found.maps] == [
        (16, 16, 32),
        (16, 8, 16),
        (16, 4, 8),
        (16, 2, 4),
    ]


def test_the_pyramid_adds_from_the_top_bilinearly():
    neck, features = build(), draw()
    sides = [conv(x) for conv, x in zip(neck.fpn.lateral_convs, features.maps, strict=True)]
    for i in (2, 1, 0):
        up = F.interpolate(sides[i + 1], size=sides[i].shape[2:], mode='bilinear')
        sides[i] = sides[i] + up
    expected = [conv(x) for conv, x in zip(neck.fpn.fpn_convs, sides, strict=True)]
    assert close(neck(features).maps, expected)


def test_the_order_of_the_words_changes_the_order_of_the_scores_alone():
    neck, features = moved(build()), draw()
    order = torch.tensor([3, 0, 4, 1, 2])
    found = neck(features)
    other = neck(Features(features.maps, text=features.text[order]))
    assert close(found.maps, other.maps)
    assert torch.allclose(found.scores[:, order], other.scores, atol=1e-5)
    assert not torch.allclose(found.scores, other.scores, atol=1e-2)


def test_the_words_are_read():
    neck, features = moved(build()), draw()
    before = neck(features)
    text = features.text.clone()
    text[2] = float('nan')
    found = neck(Features(features.maps, text=text))
    assert all(x.isnan().all() for x in found.maps)
    assert not before.maps[0].isnan().any()
    # words matter beyond NaN: other embeddings, other maps
    other = neck(Features(features.maps, text=features.text.flip(1)))
    assert not close(before.maps, other.maps)


def test_attention_starts_at_its_end():
    neck, features = build(), draw()
    rate = 0.1

    def step():
        neck.zero_grad()
        sum(x.square().mean() for x in neck(features).maps).backward()
        attention = neck.attentions[1]
        norms = [attention.out_proj.weight.grad.norm(), attention.q_proj.weight.grad.norm()]
        with torch.no_grad():
            for param in neck.parameters():
                if param.grad is not None:
                    param -= rate * param.grad
        return norms

    out, query = step()
    assert out > 0
    assert query == 0
    out, query = step()
    assert out > 0
    assert query > 0


def test_attention_is_computed_as_written():
    neck, features = moved(build(num_heads=4)), draw()
    attention, x = neck.attentions[0], neck.fpn(features.maps)[0]
    pixels = attention.norm(x.flatten(2).mT)
    words = attention.text_norm(features.text)
    q = attention.q_proj(pixels).unflatten(2, (4, 4))  # (B, N, heads, C / heads)
    k, v = (p(words).unflatten(1, (4, 4)) for p in (attention.k_proj, attention.v_proj))
    weights = (torch.einsum('bnhc,khc->bnhk', q, k) / 4**0.5).softmax(-1)
    read = torch.einsum('bnhk,khc->bnhc', weights, v).flatten(2)
    expected = x + attention.out_proj(read).mT.unflatten(2, x.shape[2:])
    assert torch.allclose(attention(x, features.text), expected, atol=1e-5)


def test_scores_are_cosines_at_stride_8():
    neck, features = build(), draw()
    found = neck(features)
    assert found.scores.shape == (2, CLASSES, 8, 16)
    pixels = neck.align_proj(found.maps[1])
    expected = F.cosine_similarity(pixels[:, None], features.text[..., None, None], dim=2)
    assert torch.allclose(found.scores, expected, atol=1e-5)
    assert build(align=False)(features).scores is None


def test_the_loss_is_of_the_nearest_labels():
    scores = torch.randn(2, CLASSES, 4, 8)
    labels = torch.randint(0, CLASSES, (2, 16, 32))
    labels[:, ::4, ::4][0, 0] = 255
    nearest = labels[:, ::4, ::4]
    loss = AlignmentHead(CLASSES).loss(Features((), scores=scores), labels)['loss_ce']
    assert loss == pytest.approx(
        0.4 * F.cross_entropy(scores / 0.07, nearest, ignore_index=255).item()
    )
    ignored = torch.full_like(labels, 255)
    assert AlignmentHead(CLASSES).loss(Features((), scores=scores), ignored)['loss_ce'] == 0


def test_maps_of_one_size_become_a_pyramid():
    channels, strides = (8, 8, 8, 8), (16, 16, 16, 16)
    neck = build(channels, strides, factors=(4, 2, 1, 0.5))
    assert (neck.out_strides, neck.level) == ((4, 8, 16, 32), 1)
    found = neck(draw(channels, strides))
    assert [x.shape[2] for x in found.maps] == [16, 8, 4, 2]
    coarse = (4, 3, 2, 1.5)
    assert build(channels, strides, factors=coarse).level == 2


def test_it_is_a_reconstruction_built_from_the_facts_of_the_model():
    inputs = HeadInputs(CHANNELS, STRIDES, num_classes=CLASSES, text_dims=DIMS)
    neck, channels, strides = build_neck(dict(type='LVAdapter'), inputs)
    assert (channels, strides) == ((256,) * 4, STRIDES)
    assert 'content is ours' in reconstructions(neck)['LVAdapter']
    assert 'content is ours' in reconstructions(AlignmentHead(3))['AlignmentHead']


def test_heads_must_divide_the_width():
    with pytest.raises(UserError, match=r'num_heads=8: .* take out_channels=104'):
        build(out_channels=100)
