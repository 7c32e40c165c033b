"""Organs on disk and as a data set: slices know their volume."""

import numpy as np
from mmseg.registry import DATASETS

from rein_seg.scenes.organs import CLASSES, render

PIPELINE = [dict(type=name) for name in ('LoadDomainImage', 'LoadLabels', 'PackDomainInputs')]


def build(root, **options):
    cfg = dict(type='OrgansDataset', domain='soft', split='val', count=14, size=(48, 32))
    return DATASETS.build({**cfg, 'data_root': str(root), 'pipeline': PIPELINE, **options})


def test_samples_are_slices_of_their_volumes(tmp_path):
    dataset = build(tmp_path)
    assert dataset.metainfo['classes'] == CLASSES and len(dataset) == 14
    where = [dataset.get_data_info(i) for i in range(14)]
    assert [info['case'] for info in where] == ['val 0'] * 12 + ['val 1'] * 2
    assert [info['slice'] for info in where] == [*range(12), 0, 1]
    assert [info['slices'] for info in where] == [12] * 12 + [2] * 2


def test_a_packed_sample_keeps_its_place(tmp_path):
    sample, drawn = build(tmp_path)[13], render('soft', 'val', 13, size=(48, 32))
    assert np.array_equal(sample['inputs'].permute(1, 2, 0).numpy(), drawn.image)
    packed = sample['data_samples']
    assert np.array_equal(packed.gt_sem_seg.data[0].numpy(), drawn.label)
    assert (packed.case, packed.slice, packed.slices) == ('val 1', 1, 2)


def test_the_end_of_a_list_is_the_last_slice(tmp_path):
    assert build(tmp_path).get_data_info(-1)['slice'] == 1
