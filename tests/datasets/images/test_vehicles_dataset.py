"""Drawn vehicles as a data set: classes, colours, few shots, bad requests."""

from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.datasets.images.few_shot import few_shots
from rein_seg.errors import UserError
from rein_seg.scenes.vehicles import CLASSES, render


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp('vehicles'))


def build(root, **options):
    pipeline = [dict(type='LoadDomainImage'), dict(type='PackImageInputs')]
    cfg = dict(type='VehiclesDataset', domain='rain', split='val', count=96, size=(48, 36))
    return DATASETS.build({**cfg, 'data_root': root, 'pipeline': pipeline, **options})


def test_samples_are_the_drawn_pictures_with_their_subtypes(root):
    dataset = build(root)
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.labels().tolist() == [*range(16)] * 6
    sample = dataset[20]
    drawn = render('rain', 'val', 20, size=(48, 36))
    assert np.array_equal(sample['inputs'].permute(1, 2, 0).numpy(), drawn.image)
    assert sample['data_samples'].gt_label.tolist() == [CLASSES.index(drawn.subtype)] == [4]
    assert sample['data_samples'].domain == 'rain'


def test_classes_may_be_colours_of_subtypes(root):
    dataset = build(root, metainfo=dict(classes=['blue tram', 'van', 'red van']))
    places = [Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset))]
    assert dataset.labels().tolist() == [1, 1, 2, 1, 1, 1, 0]
    assert places[2] == '00036.png' and places[-1] == '00091.png'
    assert dataset.left_out == {'pictures of no class': 89}


def test_a_few_images_of_each_class(root):
    dataset = build(root, shots=2, shot_seed=3)
    names, labels = [f'images/{i:05d}.png' for i in range(96)], [*range(16)] * 6
    kept = few_shots(names, labels, CLASSES, shots=2, seed=3, where='')
    assert [dataset.get_data_info(i)['name'] for i in range(32)] == [names[i] for i in kept]
    assert np.bincount(dataset.labels()).tolist() == [2] * 16
    with pytest.raises(UserError, match=r"shots=7, but the class 'sedan' has 6 images"):
        build(root, shots=7)


def test_a_class_that_nobody_draws_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(UserError, match=r"class 'pink van' is not drawn: .*red van"):
        build(str(tmp_path), metainfo=dict(classes=['van', 'pink van']))
    assert not any(tmp_path.iterdir())
