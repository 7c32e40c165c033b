"""The head as a part of a segmentor: sizes, queries, names, bad input."""

import copy

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads import Mask2FormerHead
from rein_seg.heads.mask2former.layers import sine_positions
from rein_seg.heads.mask2former.masks import attention_mask
from rein_seg.heads.mask2former.pixel_decoder import PixelDecoder
from tests.heads.mask2former.tiny import TINY, build, draw_labels, features


def test_registry_builds_ours_and_not_the_one_that_needs_mmdet():
    assert MODELS.get('Mask2FormerHead') is Mask2FormerHead


def test_maps_of_one_stride_become_a_pyramid():
    head = build(in_strides=[16, 16, 16, 16])
    fine, memory = head.pixel_decoder(features(16).maps, head.scales)
    assert fine.shape[-2:] == (16, 24)
    assert [tuple(m.shape[-2:]) for m in memory] == [(2, 3), (4, 6), (8, 12)]
    classes, masks = head(features(16))
    assert classes.shape == (5, 2, 5, 4)
    assert masks.shape == (5, 2, 5, 16, 24)


def test_maps_of_several_strides_are_taken_as_they_come():
    assert build(in_strides=[4, 8, 8, 8]).scales == (1, 1, 1, 1)
    assert build(in_strides=[4, 8, 16, 32]).scales == (1, 1, 1, 1)
    assert build(in_strides=[8, 8, 8, 8]).scales == (2, 1, 0.5, 0.25)


@pytest.mark.parametrize('again', [True, False])
def test_layers_computed_again_give_the_same_gradients(again):
    def run(head):
        calls = []
        for layer in head.pixel_decoder.encoder.layers:
            layer.register_forward_pre_hook(lambda *args: calls.append(1))
        torch.manual_seed(0)
        losses = head.loss(features(), draw_labels())
        sum(losses.values()).backward()
        return losses, [p.grad for p in head.parameters()], len(calls)

    plain, gradients, once = run(build(encoder_layers=2))
    losses, found, calls = run(build(encoder_layers=2, activation_checkpointing=again))
    assert (once, calls) == (2, 4 if again else 2)
    assert losses == plain
    for ours, expected in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-7)


def test_prediction_has_the_size_asked_for():
    head = build().eval()
    with torch.no_grad():
        out = head.predict(features(), (50, 70))
    assert out.shape == (2, 3, 50, 70)
    assert (out >= 0).all()


def test_prediction_is_the_sum_over_queries_of_class_times_mask():
    head = build().eval()
    with torch.no_grad():
        classes, masks = (x[-1] for x in head(features()))
        out = head.predict(features(), (64, 96))
    full = torch.nn.functional.interpolate(masks, size=(64, 96), mode='bilinear').sigmoid()
    expected = torch.einsum('bqk,bqhw->bkhw', classes.softmax(-1)[..., :3], full)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_every_prediction_has_three_losses_and_every_parameter_a_gradient():
    head = build(query_dims=16)
    queries = torch.randn(5, 16, requires_grad=True)
    losses = head.loss(features(queries=queries), draw_labels())
    names = {'loss_cls', 'loss_mask', 'loss_dice'}
    assert set(losses) == names | {f'd{i}.{n}' for i in range(4) for n in names}
    sum(losses.values()).backward()
    assert queries.grad.any()
    assert {n for n, p in head.named_parameters() if p.grad is None} == set()


def test_content_table_beside_given_queries():
    head = build(query_dims=16, content_from_queries=False)
    names = set(head.state_dict())
    assert 'query_feat.weight' in names
    assert 'query_embed.weight' not in names
    with pytest.raises(UserError, match='num_queries=5, but the method makes 4'):
        head(features(queries=torch.randn(4, 16)))


def test_queries_of_each_image_are_not_mixed():
    head = build(query_dims=16)
    shared = torch.randn(5, 16)
    content, position = head.first_queries(shared, 2)
    each = head.first_queries(torch.stack((shared, shared + 1)), 2)
    assert torch.equal(each[0][0], content[0]) and torch.equal(each[1][0], position[0])
    assert torch.equal(each[1][1], shared + 1)


def test_names_with_and_without_given_queries():
    own, linked = set(build().state_dict()), set(build(query_dims=16).state_dict())
    assert own - linked == {'query_embed.weight', 'query_feat.weight'}
    assert linked - own == {'querys2feat.weight', 'querys2feat.bias'}
    assert not any('label_weight' in name for name in own)


def test_a_query_that_sees_nothing_looks_everywhere():
    masks = torch.tensor([[2.0, 0.5, 3.0], [-2.0, -0.5, -3.0]]).view(1, 2, 1, 3)
    assert attention_mask(masks, (1, 3)).tolist() == [[[[True] * 3, [True] * 3]]]
    masks = torch.tensor([[2.0, -0.5, 0.0], [-2.0, 0.5, 0.0]]).view(1, 2, 1, 3)
    assert attention_mask(masks, (1, 3))[0, 0].tolist() == [
        [True, False, True],
        [False, True, True],
    ]


def test_ignored_label_other_than_255():
    head, usual = build(ignore_index=2), build()
    torch.manual_seed(0)
    ours = head.loss(features(), draw_labels())
    labels = draw_labels().masked_fill(draw_labels() == 2, 255)
    torch.manual_seed(0)
    expected = usual.loss(features(), labels)
    assert ours['loss_mask'] == expected['loss_mask']


def test_losses_under_autocast_stay_near():
    head, values = build(), []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            losses = head.loss(features(), draw_labels())
        sum(losses.values()).backward()
        values.append(sum(losses.values()))
    torch.testing.assert_close(*values, rtol=0.02, atol=0)


def test_deep_copy_and_bfloat16():
    head = copy.deepcopy(build()).eval()
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        out = head.predict(features(), (64, 96))
    with torch.no_grad():
        exact = head.predict(features(), (64, 96))
    assert out.dtype == torch.float32
    assert (out - exact).abs().max() < 0.1


def test_positions_are_sines_of_the_row_then_of_the_column():
    table = sine_positions(3, 4, 8, like=torch.zeros(1)).view(3, 4, 8)
    assert torch.equal(table[1, 0, :4], table[1, 3, :4])
    assert torch.equal(table[0, 2, 4:], table[2, 2, 4:])
    angle = torch.tensor(2 / (3 + 1e-6) * 2 * torch.pi)
    torch.testing.assert_close(table[1, 0, 0], angle.sin())
    torch.testing.assert_close(table[1, 0, 3], (angle / 100).cos())


def test_four_maps_are_needed():
    with pytest.raises(UserError, match='reads four maps .* not 3: give the encoder four'):
        Mask2FormerHead([6, 7, 8], **TINY)
    with pytest.raises(UserError, match='not 1'):
        Mask2FormerHead(6, **TINY)


@pytest.mark.parametrize('number', [1, 255])
def test_numbers_of_classes_that_make_no_sense(number):
    with pytest.raises(UserError, match=f'num_classes={number}, expected 2 to 254'):
        build(num_classes=number)


def test_heads_of_odd_width():
    head = build(feat_channels=12, num_heads=4, norm_groups=4)
    assert head(features())[0].shape == (5, 2, 5, 4)


def test_sizes_that_do_not_divide():
    with pytest.raises(UserError, match='norm_groups=32'):
        build(norm_groups=32)
    with pytest.raises(UserError, match='set model.backbone.peft.query_dims=16'):
        build(query_dims=8)


def test_queries_come_exactly_where_the_head_was_built_for_them():
    with pytest.raises(UserError, match='without queries of the method, but some came'):
        build()(features(queries=torch.randn(5, 16)))
    with pytest.raises(UserError, match='for queries of the method, but none came'):
        build(query_dims=16)(features())


def test_norms_are_modules_that_the_optimizer_knows():
    """Group norms of the convolutions and layer norms are exempt from decay by their type."""
    kinds = {type(m) for m in build().modules() if 'Norm' in type(m).__name__}
    assert kinds == {nn.GroupNorm, nn.LayerNorm}


def test_maps_of_a_transformer_and_of_a_network_of_convolutions_give_the_same():
    """The former lie in memory with their channels last, cut out of a sequence."""
    torch.manual_seed(0)
    decoder = PixelDecoder(
        [8] * 4, embed_dims=16, num_layers=1, num_heads=2, hidden=16, num_points=2, groups=4
    )
    tokens = torch.randn(1, 1 + 64, 8)
    cut = tokens[:, 1:].transpose(1, 2).unflatten(2, (8, 8))
    found = [decoder([x] * 4, (4, 2, 1, 0.5)) for x in (cut, cut.contiguous())]
    (fine, memory), (expected, others) = found
    assert fine.shape == (1, 16, 32, 32)
    for ours, theirs in zip([fine, *memory], [expected, *others], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
