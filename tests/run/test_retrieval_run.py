"""Retrieval among classes that training never saw, through train and test."""

from pathlib import Path

import numpy as np
import pytest

import rein_seg
from rein_seg.apis import train
from rein_seg.checkpoint import read_adapter
from rein_seg.errors import UserError
from tests.run.image_run import CLASSES, draw, image_config

OTHERS = ('black tram', 'white bus', 'yellow taxi')


def retrieval_config(folder, data):
    cfg = image_config(
        folder,
        data,
        val_evaluator__type='RecallAtK',
        test_evaluator__type='RecallAtK',
        model__head__type='RetrievalHead',
        model__backbone__peft__type='FRPT',
        model__backbone__peft__grid_size=7,
        model__backbone__peft__padding=6,
    )
    cfg.experiment_name = f'retrieval-{folder.name}-{len(list(folder.iterdir()))}'
    return cfg


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Folder of images and run, and the results; the classes of the validation are others."""
    folder = tmp_path_factory.mktemp('retrieval')
    draw(folder / 'data')
    for old, new in zip(CLASSES, OTHERS, strict=True):
        (folder / 'data/val' / old).rename(folder / 'data/val' / new)
    return folder, train(retrieval_config(folder, folder / 'data'))


def test_results_have_recall_of_the_other_classes(finished):
    _, results = finished
    scores = results['domains']['images']
    assert list(results['mean_over_targets']) == ['R@1', 'R@2', 'R@4', 'R@8']
    assert scores['images'] == 12 and scores['R@1'] > 50  # a class is a colour
    assert results['parameters']['method'] == 31 * 31 * 16
    assert results['parameters']['neck_and_head'] == 16 * 2 * 2 + 3 * 16


def test_the_adapter_gives_the_same_scores(finished, tmp_path):
    folder, trained = finished
    weights = str(folder / 'run/adapter.safetensors')
    assert read_adapter(weights).metadata['dataset_meta']['classes'] == list(CLASSES)
    results = rein_seg.test(retrieval_config(tmp_path, folder / 'data'), weights)
    assert results['domains'] == trained['domains']


def test_a_program_gets_embeddings_that_search(finished):
    folder, _ = finished
    predictor = rein_seg.load(str(folder / 'run'))
    files = sorted(Path(folder, 'data/val').rglob('*.png'))
    found = [predictor.predict(str(file)).embedding for file in files]
    unit = np.stack([x / np.linalg.norm(x) for x in found])
    similar = unit @ unit.T - 2 * np.eye(len(unit))
    hits = [files[i].parent == files[j].parent for i, j in enumerate(similar.argmax(1))]
    assert np.mean(hits) > 0.5


def test_a_gallery_of_one_image_is_refused_before_work(finished, tmp_path):
    draw(tmp_path / 'data')
    for file in sorted((tmp_path / 'data/val').rglob('*.png'))[1:]:
        file.unlink()
    for name in CLASSES[1:]:
        (tmp_path / 'data/val' / name).rmdir()
    cfg = retrieval_config(tmp_path, tmp_path / 'data')
    for use in ('val', 'test'):
        cfg[f'{use}_dataloader'].dataset.metainfo = dict(classes=list(CLASSES))
    with pytest.raises(UserError, match=r"'images' has 1 image, .*a gallery of 2 or more"):
        train(cfg)
    assert not list(tmp_path.glob('run/iter_*'))
