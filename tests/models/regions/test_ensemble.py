"""Classes of queries and regions, joined."""

import pytest
import torch

from rein_seg.models.regions import join_scores, segment

# probabilities of two classes and no object, and of two classes
P = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
R = torch.tensor([[0.9, 0.1]])
VALID = torch.tensor([True, False])


def joined(weight, seen):
    return join_scores(P.log(), R.log(), VALID, weight=weight, seen=torch.tensor(seen))


def test_exponents_are_swapped_for_unseen_classes():
    found = joined(0.8, [True, False])
    first = [0.6**0.8 * 0.9**0.2, 0.3**0.2 * 0.1**0.8]
    # the second query has no region: its factor is 1, not 1/K
    torch.testing.assert_close(found, torch.tensor([first, [0.2**0.8, 0.2**0.2]]))


def test_without_a_list_of_seen_classes_all_are_unseen():
    found = joined(0.8, [False, False])
    expected = torch.tensor([[0.6**0.2 * 0.9**0.8, 0.3**0.2 * 0.1**0.8], [0.2**0.2, 0.2**0.2]])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ('weight', 'seen', 'expected'),
    [
        (1.0, [True, True], [[0.6, 0.3], [0.2, 0.2]]),  # queries alone
        (1.0, [False, False], [[0.9, 0.1], [1.0, 1.0]]),  # the limit of the formula
        (0, [True, True], [[0.9, 0.1], [0.0, 0.0]]),  # no limit: valid regions alone
        (0, [False, True], [[0.9, 0.1], [0.0, 0.0]]),
    ],
)
def test_ends_of_the_weight(weight, seen, expected):
    torch.testing.assert_close(joined(weight, seen), torch.tensor(expected))


@pytest.mark.parametrize(('weight', 'expected'), [(0.5, [0.6**0.5, 0.3**0.5]), (0, [0.0, 0.0])])
def test_no_region_at_all(weight, expected):
    scores = join_scores(
        P.log()[:1],
        torch.zeros(0, 2),
        torch.tensor([False]),
        weight=weight,
        seen=torch.tensor([True, True]),
    )
    torch.testing.assert_close(scores, torch.tensor([expected]))


def test_pixels_get_the_sum_over_queries():
    masks = torch.tensor([[[1.0, 0.5]], [[0.0, 1.0]]])
    found = segment(torch.tensor([[2.0, 0.0], [1.0, 4.0]]), masks)
    assert found.tolist() == [[[2.0, 2.0]], [[0.0, 4.0]]]


def test_pixels_have_no_ties_under_autocast():
    scores, masks = torch.tensor([[0.5, 0.5001]]), torch.ones(1, 1, 2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = segment(scores, masks)
    assert found.argmax(0).tolist() == [[1, 1]]
