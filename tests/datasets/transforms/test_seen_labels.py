"""Labels of training without unseen classes."""

import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.datasets import KeepSeenLabels
from rein_seg.datasets.sampling.class_counts import absent_classes, class_counts
from rein_seg.errors import UserError

CLASSES = ('road', 'sky', 'sea', 'bus')
LABEL = np.uint8([[0, 1, 2], [3, 255, 0]])


def kept(*, unseen=('sky',), label=LABEL, **options):
    sample = dict(gt_seg_map=label, classes=list(CLASSES))
    return KeepSeenLabels(unseen, **options)(sample)['gt_seg_map'].tolist()


def test_unseen_pixels_are_ignored_and_the_others_keep_their_class():
    assert kept() == [[0, 255, 2], [3, 255, 0]]
    assert kept(unseen=(0, 'bus')) == [[255, 1, 2], [255, 255, 255]]
    assert kept(label=LABEL.astype(np.int64)) == kept()
    assert LABEL.tolist() == [[0, 1, 2], [3, 255, 0]]  # a cached label is not written into


def test_compact_renumbers_in_order():
    assert kept(compact=True) == [[0, 255, 1], [2, 255, 0]]
    assert kept(compact=True, unseen=('road', 'sea')) == [[255, 0, 255], [1, 255, 255]]


def test_marked_pixels_stay_apart_from_ignored_pixels():
    assert kept(unseen_as=254) == [[0, 254, 2], [3, 255, 0]]


def test_another_ignored_label():
    assert kept(label=np.uint8([[0, 1, 200]]), ignore_index=200) == [[0, 200, 200]]
    assert kept(label=np.uint8([[0, 1, 200]]), ignore_index=200, unseen_as=255) == [[0, 255, 200]]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(unseen=['ski']), "KeepSeenLabels.unseen names 'ski', which is no class"),
        (dict(unseen=CLASSES), 'names all 4 classes'),
        (dict(unseen_as=255), 'unseen_as=255: expected a byte of 4 to 255 other than .* 255'),
        (dict(unseen_as=3), 'unseen_as=3: expected a byte of 4'),
        (dict(unseen_as=256), 'unseen_as=256'),
        (dict(unseen_as='254'), "unseen_as='254': expected a byte of 4"),
        # unseen pixels would be labelled as a class
        (dict(ignore_index=1), 'ignore_index=1: expected a byte of 4 to 255'),
        (dict(ignore_index=300), 'ignore_index=300'),
        (dict(unseen_as=254, compact=True), 'compact=True with unseen_as=254'),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(UserError, match=words):
        kept(**options)


def test_a_place_before_the_labels_is_refused():
    with pytest.raises(UserError, match='no label: put it behind LoadLabels'):
        KeepSeenLabels(['sky'])(dict(classes=CLASSES))
    with pytest.raises(UserError, match="'a.png' has no names of classes"):
        KeepSeenLabels(['sky'])(dict(gt_seg_map=LABEL, img_path='a.png'))


def test_counts_for_weights_and_samplers_know_of_no_unseen_class(tmp_path):
    node = dict(
        type='BlobsDataset', domain='dark', split='val', count=2, size=(32, 32),
        data_root=str(tmp_path), pipeline=[dict(type='LoadDomainImage'), dict(type='LoadLabels')],
    )  # fmt: skip
    every = class_counts(DATASETS.build(node))
    assert every.all()
    node['pipeline'].append(dict(type='KeepSeenLabels', unseen=['blob']))
    dataset = DATASETS.build(node)
    found = class_counts(dataset)
    assert found.T.tolist() == [every[:, 0].tolist(), [0, 0]]
    assert set(np.unique(dataset[0]['gt_seg_map'])) == {0, 255}
    assert absent_classes({0: 5, 1: 0}, ('background', 'blob'), ['blob']) is None
    assert "'blob' (1 of 2" in absent_classes({0: 5, 1: 0}, ('background', 'blob'))
