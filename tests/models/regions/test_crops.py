"""Boxes, crops and the colour outside of masks."""

import torch

from rein_seg.models.regions import crop_regions, fill_outside, tight_boxes
from rein_seg.models.regions.crops import expand_box

COLOUR = torch.tensor([10.0, 20.0, 30.0])


def masks_of(*boxes, size=(6, 9), inside=0.9, outside=0.2):
    masks = torch.full((len(boxes), *size), outside)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = inside
    return masks


def test_boxes_are_tight_and_exclude_their_ends():
    boxes = [(0, 0, 9, 6), (3, 2, 4, 3), (8, 0, 9, 6), (1, 5, 7, 6)]
    assert tight_boxes(masks_of(*boxes) > 0.5) == boxes


def test_a_box_goes_round_all_pieces_of_a_mask():
    mask = torch.zeros(1, 6, 9, dtype=torch.bool)
    mask[0, 1, 7] = mask[0, 4, 2] = True
    assert tight_boxes(mask) == [(2, 1, 8, 5)]


def test_boxes_grow_about_their_centre_and_are_cut():
    # centre (4, 3), half sides 2 x 1 -> 3 x 1.5
    assert expand_box((2, 2, 6, 4), 1.5, (6, 9)) == (1, 1, 7, 4)
    assert expand_box((0, 0, 9, 6), 2.0, (6, 9)) == (0, 0, 9, 6)
    assert expand_box((0, 0, 3, 3), 2.0, (6, 9)) == (0, 0, 4, 4)  # -1.5 is cut to -1, then 0
    assert expand_box((2, 2, 6, 4), 1.0, (6, 9)) == (2, 2, 6, 4)


def test_regions_of_an_image():
    image = torch.rand(3, 6, 9) * 255
    masks = masks_of((2, 1, 6, 4), (0, 0, 9, 6))
    masks[0, 2, 3] = 0.5  # not above the threshold
    masks = torch.cat([masks, masks_of((0, 0, 1, 1), inside=0.1)])
    crops, boxes, valid = crop_regions(image, masks, COLOUR)
    assert valid.tolist() == [True, True, False]
    assert boxes == [(2, 1, 6, 4), (0, 0, 9, 6)]
    expected = image[:, 1:4, 2:6].clone()
    expected[:, 1, 1] = COLOUR
    assert torch.equal(crops[0], expected)
    assert torch.equal(crops[1], image)


def test_matting_mixes_and_expansion_shows_the_colour():
    image = torch.full((3, 6, 9), 100.0)
    masks = masks_of((3, 2, 6, 4), inside=0.75, outside=0.25)
    (crop,), boxes, _ = crop_regions(image, masks, COLOUR, matting=True, expand=2.0)
    assert boxes == [(1, 1, 7, 5)]
    assert crop[:, 1, 2].tolist() == [77.5, 80.0, 82.5]  # 3/4 image, 1/4 colour
    assert crop[:, 0, 0].tolist() == [32.5, 40.0, 47.5]
    (crop,), _, _ = crop_regions(image, masks, COLOUR, expand=2.0)
    assert crop[:, 1, 2].tolist() == [100.0] * 3
    assert crop[:, 0, 0].tolist() == COLOUR.tolist()


def test_no_mask_above_the_threshold():
    crops, boxes, valid = crop_regions(torch.ones(3, 6, 9), torch.zeros(4, 6, 9), COLOUR)
    assert crops == boxes == [] and valid.tolist() == [False] * 4


def test_colour_outside():
    filled = fill_outside(torch.zeros(3, 1, 2), torch.tensor([[1.0, 0.5]]), COLOUR)
    assert filled[:, 0].tolist() == [[0, 5], [0, 10], [0, 15]]
