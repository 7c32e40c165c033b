"""Drivable area of BDD100K: both releases give the same classes."""

import cv2
import numpy as np
import pytest

from rein_seg.datasets import BDD100KDrivableDataset
from rein_seg.errors import UserError

PLACES = {
    '2020': ('labels/drivable/masks/val/{}.png', (0, 1, 2)),
    '2018': ('drivable_maps/labels/val/{}_drivable_id.png', (1, 2, 0)),
}
PIPELINE = [dict(type='LoadDomainImage'), dict(type='LoadLabels')]


def write(root, release):
    place, ids = PLACES[release]
    for name, array in (
        ('images/100k/val/a.jpg', np.zeros((4, 6, 3), np.uint8)),
        (place.format('a'), np.array([ids * 2] * 4, np.uint8)),
    ):
        path = root / 'bdd100k' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), array)


@pytest.mark.parametrize('release', PLACES)
def test_raw_ids_of_both_releases(tmp_path, release):
    write(tmp_path, release)
    data = BDD100KDrivableDataset('area', split='val', data_root=str(tmp_path), pipeline=PIPELINE)
    assert data[0]['gt_seg_map'][0].tolist() == [0, 1, 2, 0, 1, 2]
    assert data.metainfo['classes'] == ('direct', 'alternative', 'background')
    assert data.expected_images == 10000


def test_a_release_can_be_named(tmp_path):
    for release in PLACES:
        write(tmp_path, release)
    options = dict(split='val', data_root=str(tmp_path), pipeline=PIPELINE)
    assert '2018' not in str(BDD100KDrivableDataset('area', **options).places('seg_map_path'))
    old = BDD100KDrivableDataset('area', release='2018', **options)
    assert old[0]['seg_map_path'].endswith('drivable_maps/labels/val/a_drivable_id.png')
    with pytest.raises(UserError, match="release='2017'"):
        BDD100KDrivableDataset('area', release='2017', **options)
    with pytest.raises(UserError, match="split='test'"):
        BDD100KDrivableDataset('area', **{**options, 'split': 'test'})
