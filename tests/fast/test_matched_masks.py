"""Masks with a gradient for the matched queries, against the plain product and loss."""

import pytest
import torch

from rein_seg.fast import matched_masks
from rein_seg.fast.dispatch import without
from rein_seg.fast.onednn_matmul import onednn
from rein_seg.heads.eomt import EoMTHead
from rein_seg.heads.plain_masks.head import mask_product
from rein_seg.structures import Features
from tests.fast.forms import assert_form_is_plain, assert_same


def test_product_and_gradients_are_the_plain_ones():
    embeds, pixels = torch.randn(2, 5, 4), torch.randn(2, 4, 3, 6)
    assert mask_product(embeds, pixels).stride() == (90, 1, 30, 5)
    assert_form_is_plain(mask_product, [embeds, pixels], name='matched_masks')


@pytest.mark.parametrize('rows', [[], [3], [0, 2, 4]])
def test_queries_without_a_gradient_are_left_out(rows, monkeypatch):
    embeds, pixels = (torch.randn(1, 5, 4), torch.randn(1, 4, 3, 6))
    leaves = [each.requires_grad_() for each in (embeds, pixels)]
    slope = torch.randn(1, len(rows), 3, 6)
    expected = torch.autograd.grad((mask_product.plain(*leaves)[:, rows] * slope).sum(), leaves)
    product = (mask_product(*leaves)[:, rows] * slope).sum()
    seen, multiply = [], torch.mm
    monkeypatch.setattr(
        torch, 'mm', lambda a, b, out: seen.append(len(b)) or multiply(a, b, out=out)
    )
    with onednn(False):  # it calls torch.mm itself
        found = torch.autograd.grad(product, leaves)
    assert seen == [len(rows)]
    assert_same(found, expected)


def head_and_features():
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    head = EoMTHead(
        12, num_classes=4, in_strides=16, num_queries=7, num_blocks=2, upscale_channels=8,
        loss=dict(num_points=32),
    )  # fmt: skip
    tokens = [torch.randn(2, 7, 12, generator=generator) for _ in range(3)]
    maps = [torch.randn(2, 12, 4, 5, generator=generator).requires_grad_() for _ in range(3)]
    labels = torch.randint(4, (2, 64, 80), generator=generator)
    labels[1, :40] = 255
    return head, tokens, maps, labels


def losses_and_gradients():
    head, tokens, maps, labels = head_and_features()
    pairs = zip(tokens, maps, strict=True)
    *early, _ = [head.predict_tokens(*pair) for pair in pairs]
    features = Features(maps=(maps[-1],), queries=tokens[-1], early=tuple(early))
    torch.manual_seed(1)
    losses = head.loss(features, labels)
    sum(losses.values()).backward()
    grads = [each.grad for each in (*maps, *head.parameters())]
    return [*losses.values(), *(grad for grad in grads if grad is not None)]


def test_losses_and_all_gradients_are_the_plain_ones():
    found = losses_and_gradients()
    with without('matched_masks'):
        expected = losses_and_gradients()
    assert len(found) == len(expected) > 20
    assert_same(found, expected, rtol=1e-3, atol=1e-5)


def test_bfloat16_masks_under_autocast_have_its_type():
    embeds, pixels = torch.randn(1, 5, 8), torch.randn(1, 8, 4, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = mask_product(embeds, pixels)
        with without('matched_masks'):
            expected = mask_product(embeds, pixels)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected.float(), rtol=0.02, atol=0.05)


def test_an_exported_graph_has_the_plain_product(monkeypatch):
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    assert not matched_masks.applies(torch.zeros(1), torch.zeros(1))
    found = mask_product(torch.ones(1, 5, 8), torch.ones(1, 8, 2, 3))
    assert found.is_contiguous()
