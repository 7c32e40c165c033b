"""ATMHead beyond the golden vectors: settings, labels, other classes, probabilities, bad input."""

from dataclasses import replace

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.heads import ATMHead
from rein_seg.heads.atm.head import IGNORED, UNSEEN
from rein_seg.structures import Features

CLASSES, DIMS, HIDDEN = 5, 16, (1, 3)
TRANSDUCTIVE = dict(setting='transductive', unseen_label=254)


def build(**options):
    torch.manual_seed(0)
    sizes = dict(joint_dims=DIMS, text_dims=DIMS, num_heads=2, unseen=HIDDEN, dropout=0.0)
    head = ATMHead(options.pop('num_classes', CLASSES), **{**sizes, **options})
    for param in head.parameters():
        torch.nn.init.normal_(param, std=0.3)
    return head


def draw(batch=2, grid=(3, 5), classes=CLASSES):
    generator = torch.Generator().manual_seed(1)
    joint = [torch.randn(batch, DIMS, *size, generator=generator) for size in ((), grid)]
    text = torch.randn(classes, DIMS, generator=generator)
    return Features((), joint=tuple(joint), text=text / text.norm(dim=1, keepdim=True))


def labels_of(*rows):
    return torch.tensor(rows).expand(2, -1, -1)


@torch.no_grad()
def test_scores_are_sigmoids_less_the_bias_of_seen_classes():
    features, size = draw(), (12, 20)
    plain = build(seen_bias=0.0).predict(features, size)
    biased = build(seen_bias=0.2).predict(features, size)
    expected = torch.zeros(CLASSES).index_fill(0, torch.tensor([0, 2, 4]), 0.2)
    torch.testing.assert_close(plain - biased, expected[:, None, None].expand_as(plain))
    assert torch.equal(build(**TRANSDUCTIVE).predict(features, size), plain)


def test_training_reads_the_seen_classes_alone():
    head, features = build(), draw()
    labels = labels_of([0, 2, 4, 255], [1, 3, 0, 2])
    other = features.text.clone()
    other[list(HIDDEN)] = 7.0
    changed = replace(features, text=other)
    assert head.loss(features, labels) == head.loss(changed, labels)
    relabelled = labels.masked_fill((labels == 1) | (labels == 3), 255)
    assert head.loss(features, labels) == head.loss(features, relabelled)


def test_queries_of_a_class_do_not_depend_on_other_classes():
    head, features = build(), draw()
    some = replace(features, text=features.text[[4, 0]])
    torch.testing.assert_close(head(some)[-1], head(features)[-1][:, [4, 0]])


def test_texts_of_each_image():
    head, features = build(), draw()
    many = replace(features, text=features.text.expand(2, -1, -1).clone())
    torch.testing.assert_close(head(many)[-1], head(features)[-1])
    many.text[1] = many.text[1].flip(0)
    assert not torch.equal(head(many)[-1][1], head(features)[-1][1])
    assert torch.equal(head(many)[-1][0], head(features)[-1][0])
    assert head.loss(many, labels_of([0, 2]))['loss_dice'].isfinite()


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({}, [0, IGNORED, 1, IGNORED, 2, IGNORED, IGNORED, IGNORED]),
        (TRANSDUCTIVE, [0, UNSEEN, 2, UNSEEN, 4, UNSEEN, IGNORED, IGNORED]),
    ],
)
@pytest.mark.parametrize('dtype', [torch.int64, torch.uint8])
def test_rows_of_labels(options, expected, dtype):
    labels = torch.tensor([[[0, 1, 2, 3, 4, 254, 255, 200]]], dtype=dtype)
    assert build(**options).rows(labels).tolist() == [[expected]]


def test_an_ignored_label_that_is_a_class():
    rows = build(ignore_index=0).rows(torch.tensor([[[0, 1, 2]]]))
    assert rows.tolist() == [[[IGNORED, IGNORED, 1]]]


def test_pseudo_labels_are_the_best_unseen_class_and_never_of_padding():
    head, features = build(**TRANSDUCTIVE), draw(grid=(2, 4))
    labels = labels_of([254, 254, 0, 255], [1, 3, 2, 200])
    masks = head(features)[-1]
    rows = head.with_pseudo_labels(head.rows(labels), masks)
    best = torch.tensor(HIDDEN)[masks[:, list(HIDDEN)].argmax(1)]
    pseudo = torch.tensor([[True, True, False, False], [True, True, False, False]]).expand(2, 2, 4)
    assert torch.equal(rows[pseudo], best[pseudo])
    assert torch.equal(rows[~pseudo].view(2, -1), torch.tensor([[0, IGNORED, 2, IGNORED]] * 2))
    same = labels.masked_fill((labels == 1) | (labels == 3), 254)  # which of them is not read
    assert head.loss(features, labels) == head.loss(features, same)
    assert head.loss(features, labels) == head.loss_decode(masks, rows)


@torch.no_grad()
def test_other_classes_at_test():
    head, features = build(), draw(classes=7)
    head.set_classes(7, (0, 6))
    found = head.predict(features, (6, 10))
    assert found.shape == (2, 7, 6, 10)
    plain = head(features)[-1]
    plain = torch.nn.functional.interpolate(plain, size=(6, 10), mode='bilinear').sigmoid()
    bias = (plain - found).amax((0, 2, 3))
    torch.testing.assert_close(bias, torch.tensor([0, 0.1, 0.1, 0.1, 0.1, 0.1, 0]))
    head.set_classes(7, tuple(range(7)))  # all of them new
    torch.testing.assert_close(head.predict(features, (6, 10)), plain)


@torch.no_grad()
def test_probabilities_are_the_softmax_of_the_logits_without_bias():
    head, features = build(), draw()
    predicted = head.predict(features, (3, 5))
    found = head.probabilities(predicted)
    torch.testing.assert_close(found, head(features)[-1].softmax(1), rtol=1e-4, atol=1e-5)
    extreme = torch.tensor([1.0, 0.0, -0.1, 0.5, 0.9])[None, :, None, None]
    assert head.probabilities(extreme).isfinite().all()


def test_parts_without_gradient_are_built_on_request_alone():
    head, official = build(), build(official_layout=True)
    features, labels = draw(), labels_of([0, 2, 4, 255])
    own = {name for name, _ in head.named_parameters()}
    for each in (head, official):
        sum(each.loss(features, labels).values()).backward()
    reached = {name for name, p in official.named_parameters() if p.grad is not None}
    assert own == {name for name, p in official.named_parameters() if p.requires_grad}
    assert reached == own == {name for name, p in head.named_parameters() if p.grad is not None}


def test_a_projection_gives_the_head_its_own_width():
    head = build(use_proj=True, embed_dims=8)
    assert head.input_proj_1.weight.shape == (8, DIMS)
    assert head.q_proj.weight.shape == (8, 2 * DIMS)
    assert head.predict(draw(), (6, 10)).shape == (2, CLASSES, 6, 10)


def test_start():
    torch.manual_seed(0)
    head = ATMHead(3, joint_dims=256, text_dims=256, official_layout=True)
    for name, param in head.named_parameters():
        if 'norm' in name:
            assert (param == (1 if name.endswith('weight') else 0)).all()
        elif name.endswith('bias'):
            assert not param.any()
        elif 'in_proj' not in name:
            assert abs(param.std().item() - 0.02) < 0.001


@pytest.mark.parametrize(
    ('options', 'unseen', 'message'),
    [
        ({}, range(CLASSES), 'all 5 classes are unseen, so nothing can be trained'),
        (TRANSDUCTIVE, range(CLASSES), 'all 5 classes are unseen, so nothing can be trained'),
        (TRANSDUCTIVE, (), "every class is seen: .* or take setting='inductive'"),
    ],
)
def test_classes_that_cannot_be_trained_any_longer(options, unseen, message):
    head = build(**options)
    head.set_classes(CLASSES, tuple(unseen))
    head.predict(draw(), (3, 5))  # which works
    with pytest.raises(UserError, match=message):
        head.loss(draw(), labels_of([0, 2, 4, 255]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(embed_dims=8), r'embed_dims=8.*embedding is 16 wide.*use_proj=True'),
        (dict(num_heads=3), 'num_heads=3 does not divide its width, 16'),
        (dict(num_heads=0), 'num_heads=0: expected a whole number'),
        (dict(num_layers=0), 'num_layers=0'),
        (dict(dropout=2.0), 'dropout=2.0: expected a number, from 0 to 1'),
        (dict(seen_bias=-1), 'seen_bias=-1: expected a number, at least 0'),
        (dict(setting='both'), "setting='both': expected inductive or transductive"),
        (dict(unseen=(7,)), r'unseen=\[7\]: 7 is no class; expected indexes 0 to 4'),
        (dict(unseen=tuple(range(5))), 'all 5 classes are unseen'),
        (dict(setting='transductive'), 'unseen_label=None: expected a label .* such as 254'),
        (dict(unseen_label=254), "setting='inductive' with unseen_label=254"),
        (dict(TRANSDUCTIVE, unseen_label=2), 'unseen_label=2 is the ignored label or a class'),
        (dict(TRANSDUCTIVE, unseen_label=255), 'unseen_label=255 is the ignored label'),
        (dict(TRANSDUCTIVE, unseen=()), 'every class is seen: name some in benchmark.unseen'),
        (dict(loss=dict(ignored='no')), "ATMLoss ignored='no'"),
        (dict(num_layers=2.5), 'num_layers=2.5: expected a whole number'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)
