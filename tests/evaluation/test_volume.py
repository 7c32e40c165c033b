"""Scores of volumes: definitions against brute force, missing classes, slices in any order."""

import itertools
import logging
import math

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from rein_seg.errors import UserError
from rein_seg.evaluation import VolumeSegMetric
from rein_seg.evaluation.volume_scores import Score, volume_score
from tests.evaluation.two_processes import evaluate_volumes

CLASSES = ('background', 'liver', 'spleen')


def metric(**options):
    one = VolumeSegMetric(**options)
    one.dataset_meta = dict(classes=CLASSES)
    return one


def sample(pred, *, case='a', place=0, slices=1, **fields):
    maps = dict(pred_sem_seg=dict(data=torch.as_tensor(np.array(pred))[None]))
    return dict(img_path='a.png', case=case, slice=place, slices=slices, **maps, **fields)


def surface_by_hand(voxels):
    """Voxels with a neighbour outside the set or the volume, one by one."""
    found = []
    for place in zip(*np.nonzero(voxels), strict=True):
        for axis, step in itertools.product(range(3), (-1, 1)):
            near = list(place)
            near[axis] += step
            inside = all(0 <= i < n for i, n in zip(near, voxels.shape, strict=True))
            if not inside or not voxels[tuple(near)]:
                found.append(place)
                break
    return found


def distances_by_hand(of, to, spacing):
    targets = surface_by_hand(to)
    return [
        min(math.dist(np.multiply(a, spacing), np.multiply(b, spacing)) for b in targets)
        for a in surface_by_hand(of)
    ]


@pytest.mark.parametrize('spacing', [None, (2.5, 0.7, 1.3)])
@pytest.mark.parametrize('seed', range(3))
def test_scores_equal_the_definitions(seed, spacing):
    rng = np.random.default_rng(seed)
    pred, label = (rng.random((4, 6, 7)) > share for share in (0.4, 0.6))
    pred[:, :2], label[0] = False, False  # they touch other borders
    there = distances_by_hand(pred, label, spacing or (1, 1, 1))
    back = distances_by_hand(label, pred, spacing or (1, 1, 1))
    both = (pred & label).sum()
    expected = Score(
        Dice=2 * both / (pred.sum() + label.sum()),
        Jaccard=both / (pred | label).sum(),
        HD95=np.percentile(there + back, 95),
        ASD=np.mean(there),
        ASSD=np.mean(there + back),
    )
    assert volume_score(pred, label, spacing=spacing) == pytest.approx(expected, abs=1e-9)


def test_a_set_itself_and_a_flat_volume():
    voxels = np.zeros((1, 5, 5), bool)
    voxels[0, 1:4, 1:4] = True
    assert volume_score(voxels, voxels) == (1.0, 1.0, 0.0, 0.0, 0.0)


def test_missing_classes():
    none, some = np.zeros((2, 3, 3), bool), np.ones((2, 3, 3), bool)
    assert volume_score(none, none) is None
    assert volume_score(some, none) == volume_score(none, some) == (0.0, 0.0, None, None, None)
    official = dict(missing='transunet')
    assert volume_score(some, none, **official) == (1.0, 1.0, 0.0, 0.0, 0.0)
    assert volume_score(none, some, **official) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert volume_score(none, none, **official) == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_means_are_over_volumes_then_over_classes():
    one = metric()
    # liver: 1 in volume a, 0 in b (missed); spleen: in neither of a, 0.5 in b
    a = one.measure(sample([[1, 1, 0, 0]]), np.array([[1, 1, 0, 0]]))
    b = one.measure(sample([[0, 2, 2, 0]], case='b'), np.array([[1, 0, 2, 2]]))
    scores = one.summarise([a, b])
    assert scores['of_classes']['Dice'] == {'liver': 50.0, 'spleen': 50.0}
    assert scores['of_classes']['HD95'] == {'liver': 0.0, 'spleen': 1.0}
    assert (scores['Dice'], scores['HD95'], scores['volumes']) == (50.0, 0.5, 2)
    assert scores['presence'] == {
        'in both': 2, 'in neither': 1, 'predicted alone': 0, 'labelled alone': 1,
    }  # fmt: skip
    assert scores['aAcc'] == pytest.approx(100 * 5 / 8)
    official = metric(missing='transunet')
    other = official.summarise([a, b])
    assert other['of_classes']['Dice'] == {'liver': 50.0, 'spleen': 25.0}
    assert other['HD95'] == 0.25


def test_ignored_voxels_count_as_background():
    one = metric()
    measured = one.measure(sample([[1, 1, 1, 0]]), np.array([[1, 1, 255, 255]]))
    scores = one.summarise([measured])
    assert scores['Dice'] == 100.0 and scores['HD95'] == 0.0


def test_a_class_in_no_volume_has_no_score():
    one = metric()
    scores = one.summarise([one.measure(sample([[0, 0]]), np.array([[0, 0]]))])
    assert scores['Dice'] is None and scores['HD95'] is None


def test_the_order_of_slices_does_not_matter():
    ordered = evaluate_volumes()
    shuffled = evaluate_volumes(np.random.default_rng(0).permutation(15).tolist())
    assert shuffled == ordered
    assert (
        evaluate_volumes(spacing=(5.0, 1.0, 1.0))['domains']['night']['HD95']
        != (ordered['domains']['night']['HD95'])
    )
    assert ordered['units'] == dict.fromkeys(('HD95', 'ASD', 'ASSD'), 'voxels')


def test_the_tables_of_classes_are_printed():
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    evaluate_volumes(missing='transunet')
    logger.removeHandler(handler)
    printed = '\n'.join(lines)
    for words in ('Dice %, HD95', '\ncar ', 'in both (scored)', 'predicted alone (Dice 1)'):
        assert words in printed


def test_missing_and_doubled_slices_name_the_volume():
    label = np.array([[1, 0]])
    one = metric()
    slices = [one.measure(sample([[1, 0]], place=i, slices=4), label) for i in (0, 2, 3)]
    with pytest.raises(UserError, match=r"volume 'a': slices \[1\] are missing of 4"):
        one.summarise(slices)
    with pytest.raises(UserError, match=r"volume 'a': slices \[2\] came twice of 4"):
        one.summarise([*slices, one.measure(sample([[1, 0]], place=1, slices=4), label), slices[1]])
    wide = one.measure(sample([[1, 0, 0]], place=1, slices=4), np.array([[1, 0, 0]]))
    with pytest.raises(UserError, match=r"'a': slices of \(1, 2\) and of \(1, 3\)"):
        one.summarise([*slices, wide])


def test_other_data_is_refused():
    flat = sample([[1]])
    del flat['case']
    with pytest.raises(UserError, match="'a.png' carries no case.*VolumeDataset"):
        metric().measure(flat, np.array([[1]]))


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(missing='zero'), "missing='zero': expected 'skip' or 'transunet'"),
        (dict(spacing=(1.0, 2.0)), r'spacing=\(1.0, 2.0\): expected three numbers above 0'),
        (dict(spacing=(1.0, 0.0, 1.0)), 'expected three numbers above 0'),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(UserError, match=words):
        metric(**options)
