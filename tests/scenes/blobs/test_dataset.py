"""Blobs on disk and as a data set; the cache's own tests are in ../miniscapes/test_cache.py."""

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.scenes.blobs import GENERATOR_VERSION, cache, ensure_cached, render

SIZE = (48, 32)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


def build(root, **options):
    cfg = dict(type='BlobsDataset', domain='dark', split='val', count=3, size=SIZE)
    return DATASETS.build({**cfg, 'data_root': str(root), 'pipeline': PIPELINE, **options})


def test_it_is_drawn_on_first_use(tmp_path):
    dataset = build(tmp_path)
    assert len(dataset) == 3 and dataset.metainfo['classes'] == ('background', 'blob')
    folder = tmp_path / f'v{GENERATOR_VERSION}-seed0-48x32' / 'dark' / 'val'
    assert files_of(tmp_path) == [
        f'{folder.relative_to(tmp_path)}/{kind}/{i:05d}.png'
        for kind in ('images', 'labels')
        for i in range(3)
    ]
    sample, picture = dataset[1], render('dark', 'val', 1, size=SIZE)
    assert sample['inputs'].shape == (3, 32, 48)
    assert np.array_equal(sample['inputs'].permute(1, 2, 0).numpy(), picture.image)
    assert sample['data_samples'].domain == 'dark'
    assert np.array_equal(sample['data_samples'].gt_sem_seg.data[0].numpy(), picture.label)


def test_a_second_use_reads_what_is_there_and_draws_what_is_not(tmp_path, monkeypatch):
    build(tmp_path)
    made = []

    def spy(domain, split, index, **options):
        made.append(index)
        return render(domain, split, index, **options)

    monkeypatch.setattr(cache, 'render', spy)
    build(tmp_path)
    assert made == []
    next(tmp_path.rglob('labels/00001.png')).unlink()
    assert len(build(tmp_path, count=4)) == 4
    assert made == [1, 3]


def test_a_killed_run_leaves_whole_files_only(tmp_path, monkeypatch):
    def stop(domain, split, index, **options):
        if index == 2:
            raise KeyboardInterrupt
        return render(domain, split, index, **options)

    monkeypatch.setattr(cache, 'render', stop)
    with pytest.raises(KeyboardInterrupt):
        ensure_cached(tmp_path, 'pale', 'train', 4, size=SIZE)
    whole = [path for path in tmp_path.rglob('*.*') if path.is_file()]
    assert len(whole) == 4 and all(cv2.imread(str(path)) is not None for path in whole)
    monkeypatch.undo()
    folder = ensure_cached(tmp_path, 'pale', 'train', 4, size=SIZE)
    for index in range(4):
        image = cv2.imread(str(folder / f'images/{index:05d}.png'))
        assert np.array_equal(image, render('pale', 'train', index, size=SIZE).image)


def test_bad_requests_are_named_and_leave_no_folder(tmp_path):
    with pytest.raises(ValueError, match="domain: got 'drak'.*did you mean 'dark'"):
        build(tmp_path, domain='drak')
    with pytest.raises(ValueError, match='count: got 0'):
        build(tmp_path, count=0)
    assert list(tmp_path.iterdir()) == []
