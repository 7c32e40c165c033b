"""Quarter turns with flips, or rotations by a few degrees, the same for image and label."""

import numpy as np
import pytest

from rein_seg.datasets import TurnOrRotate
from rein_seg.errors import UserError


def sample(height, width):
    label = (np.arange(height * width) % 251).astype(np.uint8).reshape(height, width)
    return dict(img=np.dstack([label] * 3), gt_seg_map=label, seg_fields=['gt_seg_map'])


def drawn(height, width, count=200, **options):
    transform, found = TurnOrRotate(**options), []
    for seed in range(count):
        np.random.seed(seed)  # noqa: NPY002
        found.append(transform(sample(height, width)))
    return found


def test_half_are_turned_a_quarter_rotated_a_quarter_left():
    start = sample(40, 40)['gt_seg_map']
    flips = [np.flip(np.rot90(start, k), a) for k in range(4) for a in (0, 1)]
    turned = left = 0
    for one in drawn(40, 40):
        label = one['gt_seg_map']
        assert np.array_equal(one['img'], np.dstack([label] * 3))
        left += np.array_equal(label, start)
        turned += any(np.array_equal(label, flip) for flip in flips)
    assert 80 < turned < 120
    assert 35 < left < 65


def test_other_shapes_keep_theirs():
    assert {one['img'].shape for one in drawn(4, 6)} == {(4, 6, 3)}


def test_outside_is_air_and_background():
    label = np.full((21, 21), 3, np.uint8)
    start = dict(
        img=np.full((21, 21, 3), 90, np.uint8), gt_seg_map=label, seg_fields=['gt_seg_map']
    )
    np.random.seed(4)  # noqa: NPY002
    found = TurnOrRotate(prob=0.0)(start)
    assert found['gt_seg_map'] is label  # probability 0 leaves all as it is
    for seed in range(20):
        np.random.seed(seed)  # noqa: NPY002
        one = TurnOrRotate(prob=0.999)({**start, 'img': start['img'].copy()})
        assert set(np.unique(one['gt_seg_map'])) <= {0, 3}
        assert ((one['gt_seg_map'] == 0) == (one['img'][..., 0] == 0)).all()


@pytest.mark.parametrize('options', [dict(prob=1.5), dict(degree=-1.0)])
def test_bad_options(options):
    with pytest.raises(UserError, match='expected a probability 0..1 and an angle 0..180'):
        TurnOrRotate(**options)
