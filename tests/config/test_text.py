"""The text branch in a config: its words are checked, its names come from the data."""

import pytest

from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError


def resolved(**options):
    given = {f'model.text.{key}': value for key, value in options.items()}
    return resolve('zegclip_tiny_miniscapes', Request(options=given)).cfg.model.text


def test_names_are_those_of_the_data_unless_the_config_has_its_own():
    text = resolved()
    assert text.classes[:2] == ['road', 'sidewalk'] and len(text.classes) == 19
    assert text.unseen == ['sidewalk', 'vegetation', 'bus', 'bicycle']
    assert 'names' not in text
    assert resolved(names=dict(road=['asphalt'])).names == {'road': ['asphalt']}


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(type='ClassTabel'), "'ClassTabel' is not registered; did you mean 'ClassTable'"),
        (dict(type=None), "has no 'type'|type=None"),
        (dict(templats='plain'), "takes no 'templats'; did you mean 'templates'"),
        (dict(names=['road']), 'names=.*expected a dict'),
        (dict(names=dict(road=[])), r'names.road=\[\]: expected'),
        (dict(names=dict(road='')), "names.road='': expected"),
        (dict(unseen='bus'), "unseen='bus': expected"),
        (dict(classes=[]), r'classes=\[\]: expected'),
        (dict(truncate='no'), "truncate='no': expected"),
        (dict(init_seed=-1), 'init_seed=-1: expected'),
    ],
)
def test_wrong_words_are_named_before_anything_is_built(options, said):
    with pytest.raises(UserError, match=said):
        resolved(**options)
