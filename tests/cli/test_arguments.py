"""Arguments that commands share."""

import argparse

import pytest

from rein_seg.cli.arguments import add_config, add_options, positive


def parse(add, *words, **kwargs):
    parser = argparse.ArgumentParser()
    add(parser, **kwargs)
    return parser.parse_args(words)


def test_options_are_values_as_mmengine_reads_them():
    words = ['--cfg-options', 'a.b=1', 'c=[1,2]', 'd=None', 'e=x']
    assert parse(add_options, *words).cfg_options == {'a.b': 1, 'c': [1, 2], 'd': None, 'e': 'x'}
    assert parse(add_options).cfg_options is None


@pytest.mark.parametrize(
    ('word', 'value'),
    [
        ("a=['a photo of a {}.', 'x  y']", ['a photo of a {}.', 'x  y']),
        ('a=last 9', 'last 9'),
        ('a=traffic light, sky', ['traffic light', 'sky']),
        ("a=( 1, (2.5 ,'b c') )", (1, (2.5, 'b c'))),
        ('a= 3 ', 3),
        ('a="/my data"', '/my data'),
    ],
)
def test_blanks_between_words_stay(word, value):
    assert parse(add_options, '--cfg-options', word).cfg_options == {'a': value}


def test_a_dict_that_holds_a_list_is_told_where_to_go(capsys):
    with pytest.raises(SystemExit):
        parse(add_options, '--cfg-options', "loss={'type':'X','weights':[1,2]}")
    assert 'text holds no dict: set its parts, KEY.PART=VALUE' in capsys.readouterr().err


def test_a_config_with_a_default_may_be_left_out():
    assert parse(add_config, default='rein_tiny_camvid').config == 'rein_tiny_camvid'
    with pytest.raises(SystemExit):
        parse(add_config)


@pytest.mark.parametrize('text', ['0', '-3', 'x', '1.5', ''])
def test_what_is_no_positive_number(text):
    with pytest.raises(argparse.ArgumentTypeError, match='expected a whole number above 0'):
        positive(text)
