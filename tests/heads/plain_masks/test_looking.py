"""Masked attention: which patches are open, draws, the plan of training and tests."""

import torch

from rein_seg.heads.plain_masks.looking import MaskDraws, mask_plan, open_patches


def test_a_mask_of_another_size_is_resized_before_it_is_compared_with_zero():
    # 2 x 2 pixels a patch: the mean of the logits counts, not the number of pixels above zero
    masks = torch.tensor([[9.0, -1.0, -1.0, -1.0], [-1.0, -1.0, 1.5, -1.0]]).view(1, 1, 2, 4)
    assert open_patches(masks, (1, 2), 1.0).tolist() == [[[True, False]]]


def test_a_query_is_freed_where_its_number_is_above_the_probability():
    masks = torch.full((1, 3, 2, 2), -1.0)
    free = open_patches(masks, (2, 2), 0.4, torch.tensor([[0.39, 0.4, 0.41]]))
    assert free.any(-1).tolist() == free.all(-1).tolist() == [[False, False, True]]


def test_draws_free_the_right_share():
    torch.manual_seed(0)
    uniform = MaskDraws().uniform(0, 50, 100, torch.device('cpu'))
    free = open_patches(torch.full((50, 100, 1, 1), -1.0), (1, 1), 0.3, uniform)
    assert abs(free.float().mean() - 0.7) < 0.02


def test_a_plan_supervises_every_block_in_training_and_is_certain_in_tests():
    probabilities = [0.0, 0.49, 0.5, 1.0]
    assert mask_plan(probabilities, training=True) == (0.0, 0.49, 0.5, 1.0)
    assert mask_plan(probabilities, training=False) == (None, None, 1.0, 1.0)
