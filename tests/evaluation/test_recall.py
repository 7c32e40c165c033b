"""Tests of Recall@K."""

import pytest
import torch

import rein_seg.evaluation.recall as module
from rein_seg.errors import UserError
from rein_seg.evaluation.recall import recall_at_k


def points(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack((angles.cos(), angles.sin()), 1).float()


def sorted_recall(embeddings, labels, k):
    """By a stable sort of all similarities, query after query."""
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    hits = 0
    for i, row in enumerate((unit @ unit.T).round(decimals=10)):
        order = [j for j in torch.argsort(row, descending=True, stable=True).tolist() if j != i]
        hits += any(labels[j] == labels[i] for j in order[:k])
    return 100 * hits / len(labels)


@pytest.mark.parametrize('seed', range(4))
def test_equals_a_sort_of_all_neighbours(seed, monkeypatch):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randint(-1, 2, (37, 3), generator=generator).float()  # with many ties
    labels = torch.randint(0, 9, (37,), generator=generator)
    expected = [sorted_recall(embeddings, labels, k) for k in (1, 2, 4, 8)]
    assert recall_at_k(embeddings, labels, [1, 2, 4, 8]) == pytest.approx(expected)
    monkeypatch.setattr(module, '_SIMILARITIES', 100)  # two queries at a time
    assert recall_at_k(embeddings, labels, [1, 2, 4, 8]) == pytest.approx(expected)


def test_order_of_images_does_not_matter_without_ties():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(50, 8, generator=generator)
    labels = torch.randint(0, 10, (50,), generator=generator)
    order = torch.randperm(50, generator=generator)
    assert recall_at_k(embeddings[order], labels[order], [1, 4]) == recall_at_k(
        embeddings, labels, [1, 4]
    )


def test_length_does_not_count_and_a_single_image_of_a_class_is_never_found():
    embeddings = points(0, 5, 90) * torch.tensor([[1.0], [100.0], [0.01]])
    assert recall_at_k(embeddings, torch.tensor([0, 0, 1]), [1, 8]) == pytest.approx([200 / 3] * 2)


def test_of_images_at_the_same_distance_the_first_comes_first():
    embeddings, labels = points(0, 10, -10), torch.tensor([0, 0, 1])
    assert recall_at_k(embeddings, labels, [1]) == pytest.approx([200 / 3])
    swapped = torch.tensor([0, 1, 0])
    assert recall_at_k(embeddings, swapped, [1]) == pytest.approx([100 / 3])


def test_the_official_code_lets_a_double_find_itself():
    embeddings, labels = points(0, 0, 60), torch.tensor([0, 1, 1])
    # image 1 has image 0 as its nearest: dropped, it finds itself
    assert recall_at_k(embeddings, labels, [1]) == pytest.approx([0.0])
    assert recall_at_k(embeddings, labels, [1], leave_out='nearest') == pytest.approx([100 / 3])


def test_a_gallery_of_one_image():
    with pytest.raises(UserError, match='of 1 image: expected a gallery of 2 or more'):
        recall_at_k(points(0), torch.tensor([0]), [1])


def test_embeddings_that_are_not_finite():
    with pytest.raises(UserError, match='nan or inf'):
        recall_at_k(points(0, float('nan')), torch.tensor([0, 0]), [1])
