"""Label maps of training and the scores of seen and unseen classes, against the official ones."""

import numpy as np
import pytest

from rein_seg.datasets import KeepSeenLabels
from rein_seg.datasets.unseen import seen_classes
from rein_seg.evaluation import SeenUnseenIoU
from tests.golden.collect import cases

LABELS, METRIC = cases('zegclip', 'labels'), cases('zegclip', 'metric')
PADDING = 200  # officially; here padding has the ignored label
MARKER = 254


def unseen_of(config):
    return seen_classes(config['seen'], config['classes'])


@pytest.mark.parametrize('golden', LABELS)
@pytest.mark.parametrize(
    ('setting', 'options', 'theirs'),
    [('inductive', {'compact': True}, 255), ('transductive', {'unseen_as': MARKER}, MARKER)],
)
def test_labels(golden, setting, options, theirs):
    config, given = golden.meta['config'], golden.tensor('input.labels').numpy()
    step = KeepSeenLabels(unseen_of(config), **options)
    classes = tuple(map(str, range(config['classes'])))
    expected = golden.tensors('output')
    label = step(dict(gt_seg_map=given.astype(np.uint8)[:, 0], classes=classes))['gt_seg_map']
    wanted = expected[setting].numpy()[:, 0]
    np.testing.assert_array_equal(label, np.where(wanted == -1, theirs, wanted))
    table = expected[f'{setting}_table'].numpy()
    keep = table != PADDING
    wanted = np.where(table == -1, theirs, table)
    np.testing.assert_array_equal(step.table(classes)[keep], wanted[keep])


@pytest.mark.parametrize('golden', METRIC)
def test_scores(golden):
    config, given = golden.meta['config'], golden.tensors('input')
    metric = SeenUnseenIoU(unseen=unseen_of(config), ignore_index=config.get('ignore', 255))
    metric.dataset_meta = dict(classes=tuple(map(str, range(config['classes']))))
    images = sorted(name.removeprefix('label') for name in given if name.startswith('label'))
    for i in images:
        maps = dict(
            gt_sem_seg=dict(data=given[f'label{i}'][None]),
            pred_sem_seg=dict(data=given[f'pred{i}'][None]),
        )
        metric.process(None, [dict(domain='all', img_path=f'{i}.png', **maps)])
    metric.evaluate(len(images))
    scores, bound = metric.report['domains']['all'], golden.meta['tolerance']['output_max_abs']
    expected = golden.tensors('output')
    for ours, theirs in (('hIoU', 'hiou'), ('S', 'seen'), ('U', 'unseen'), ('mIoU', 'miou'),
                         ('pAcc', 'pixel_accuracy')):  # fmt: skip
        assert scores[ours] / 100 == pytest.approx(expected[theirs].item(), abs=bound[theirs])
        assert metric.report['mean_over_targets'][ours] == scores[ours]
    found = [-1 if one is None else one / 100 for one in scores['IoU'].values()]
    assert found == pytest.approx(expected['iou'].tolist(), abs=bound['iou'])
