"""Volume metrics against MedPy's numbers, and TransUNet's rules for missing classes."""

import numpy as np
import pytest

from rein_seg.evaluation.volume_scores import volume_score
from tests.golden.collect import cases

NAMES = {'dice': 'Dice', 'jaccard': 'Jaccard', 'hd95': 'HD95', 'asd': 'ASD', 'assd': 'ASSD'}


def rows(golden, classes, columns, **options):
    """Returns (classes, columns) scores."""
    inputs = {key: value.numpy() for key, value in golden.tensors('input').items()}
    scores = [
        volume_score(inputs['prediction'] == index, inputs['label'] == index, **options)
        for index in classes
    ]
    return np.array([[getattr(one, NAMES[name]) for name in columns] for one in scores])


@pytest.mark.parametrize('golden', cases('cat_layer', 'volume_metrics'))
def test_scores_of_classes_in_both(golden):
    config, expected = golden.meta['config'], golden.tensors('output')
    near = golden.meta['tolerance']['output_max_abs']
    classes = config['classes_present_in_both']
    found = rows(golden, classes, config['columns'])
    assert np.abs(found - expected['metrics'].numpy()).max() <= near['metrics']
    spaced = rows(golden, classes, ('hd95', 'asd'), spacing=config['spacing'])
    expected_spaced = expected['metrics_with_spacing'].numpy()
    assert np.abs(spaced - expected_spaced).max() <= near['metrics_with_spacing']
    assert np.abs(spaced - found[:, 2:4]).max() > 0.1  # the spacing counts


@pytest.mark.parametrize('golden', cases('cat_layer', 'volume_metrics'))
def test_transunets_rules_for_missing_classes(golden):
    classes = range(1, golden.meta['config']['num_classes'])
    found = rows(golden, classes, ('dice', 'hd95'), missing='transunet')
    error = np.abs(found - golden.tensors('output')['dice_hd95_official'].numpy())
    assert error.max() <= golden.meta['tolerance']['output_max_abs']['dice_hd95_official']
