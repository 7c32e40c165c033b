"""Masks made where they are needed against all masks at full size."""

import torch

from rein_seg.fast.dispatch import without
from rein_seg.fast.lazy_masks import MaskEmbeds, all_masks, attention_mask, decode, mask_embeds
from rein_seg.heads.mask2former import masks as plain
from tests.fast.forms import assert_same
from tests.heads.mask2former.tiny import build, draw_labels, features


def test_a_query_that_sees_nothing_looks_everywhere():
    embeds = MaskEmbeds(torch.tensor([[[1.0], [-1.0]]]), torch.zeros(1, 2))
    mask = attention_mask(embeds, torch.tensor([[[2.0, 0.5, 3.0]]]))
    assert mask.tolist() == [[[[True] * 3, [True] * 3]]]
    mask = attention_mask(embeds, torch.tensor([[[2.0, -0.5, 0.0]]]))
    assert mask[0, 0].tolist() == [[True, False, True], [False, True, True]]
    shifted = MaskEmbeds(embeds.weight, torch.tensor([[-1.0, 1.0]]))
    mask = attention_mask(shifted, torch.tensor([[[2.0, 0.5, 0.0]]]))
    assert mask[0, 0].tolist() == [[True, False, False], [False, True, True]]


def test_masks_are_products_with_the_mask_features():
    head = build().eval()
    fine, queries = decode(head, features())
    pixels = head.pixel_decoder.mask_feature(fine)
    expected = plain.mask_logits(head.mask_embed(queries), pixels)
    found = all_masks(mask_embeds(head, queries), fine)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_logits_and_scores_are_the_plain_ones():
    head = build().eval()
    with torch.no_grad():
        found = [*head(features()), head.predict(features(), (50, 70))]
        with without('lazy_masks'):
            expected = [*head(features()), head.predict(features(), (50, 70))]
    assert_same(found, expected)


def test_losses_and_gradients_are_the_plain_ones():
    labels = draw_labels()
    labels[1, labels[1] == 2] = 0  # other classes, and so other numbers of matches, in each image

    def outcome(head):
        torch.manual_seed(0)
        losses = head.loss(features(), labels)
        sum(losses.values()).backward()
        return losses, {n: p.grad for n, p in head.named_parameters() if p.grad is not None}

    ours, own = outcome(build())
    with without('lazy_masks'):
        losses, expected = outcome(build())
    assert own.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(ours[name], value, msg=name)
    for name, grad in expected.items():
        torch.testing.assert_close(own[name], grad, rtol=1e-4, atol=1e-6, msg=name)


def test_only_matched_masks_are_made_with_a_gradient(monkeypatch):
    head, kept = build(), []
    match = head.set_loss.match

    def look(classes, masks, *rest):
        parts = list(masks)
        kept.extend(part.requires_grad for part in parts)
        assert [len(part) for part in parts] == [2, 2, 1]
        return match(classes, parts, *rest)

    monkeypatch.setattr(head.set_loss, 'match', torch.no_grad()(look))
    head.loss(features(), draw_labels())
    assert kept == [False] * 3
