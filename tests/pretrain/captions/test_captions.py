"""Captions are true, and of known words."""

import re

import numpy as np
import pytest

from rein_seg.datasets import MiniScapesDataset
from rein_seg.pretrain.captions.captions import (
    SURE,
    Sight,
    caption,
    framed,
    phrase,
    sights,
    weather,
)
from rein_seg.pretrain.captions.lexicon import COUNTS, KINDS, MANY, NOUNS, PLACES, WORDS
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.looks import CLEAR, FOG, NIGHT, RAIN, SNOW
from rein_seg.scenes.streets.owners import labels_of
from rein_seg.scenes.streets.pictures import render_picture
from rein_seg.text.templates import fill_in, templates_of
from rein_seg.text.tokens import WordTokenizer

WHOLE = (0, 0, 128, 256)
CROP = (32, 48, 112, 176)
# nouns, the longest first, so that 'traffic light' is not read as something else -> train id
LABELS = {
    noun: label
    for key, pairs in [*NOUNS.items(), *KINDS.items()]
    for pair in pairs
    for noun in pair
    if noun
    for label in [key if isinstance(key, int) else key[0]]
}
NAMES = re.compile('|'.join(rf'\b{n}\b' for n in sorted(LABELS, key=len, reverse=True)))


def rng(*seed):
    return np.random.default_rng(seed)


def named(text):
    """Returns the train ids of the things that a caption names."""
    for words in (*PLACES.values(), ('on the street',)):
        for place in words:
            text = text.replace(place, '')
    text = re.sub('(under|in) (an overcast sky|the dark|the haze|mist)', '', text)
    return {LABELS[noun] for noun in NAMES.findall(text)}


@pytest.mark.parametrize('index', range(12))
@pytest.mark.parametrize('window', [WHOLE, CROP])
def test_a_caption_names_things_that_the_label_map_shows(index, window):
    picture = render_picture(index)
    top, left, bottom, right = window
    shown, pixels = np.unique(labels_of(picture.codes)[top:bottom, left:right], return_counts=True)
    shown = set(shown[pixels >= SURE].tolist())
    for number in range(8):
        text = caption(sights(picture, window), picture.air, rng(index, number))
        assert named(text) and named(text) <= shown, text


def test_all_words_are_in_the_list_and_captions_differ():
    tokenizer = WordTokenizer(WORDS)
    texts = set()
    for index in range(20):
        picture = render_picture(index)
        seen = sights(picture, WHOLE)
        texts |= {caption(seen, picture.air, rng(index, n), most=8) for n in range(10)}
        texts |= {framed(key, rng(index, n)) for key in seen for n in range(3)}
    ids = tokenizer.encode(sorted(texts), 48, truncate=True)
    assert len(texts) > 700 and int(ids.max()) == len(WORDS) + 2


def test_the_list_is_closed_small_and_names_the_classes_of_data_sets():
    assert len(WORDS) < 300 and all(word == word.lower() for word in WORDS)
    tokenizer = WordTokenizer(WORDS)
    camvid = ['sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol', 'fence', 'car']
    camvid += ['pedestrian', 'bicyclist']
    kinds = ['van', 'sedan', 'hatchback', 'estate car', 'suv', 'box truck', 'tipper', 'semi truck']
    kinds += ['city bus', 'coach', 'double decker', 'tram', 'conifer', 'bush', 'hedge', 'broadleaf']
    for name in [*MiniScapesDataset.METAINFO['classes'], *camvid, *kinds]:
        assert tokenizer.ids(f'a photo of a {name} in the scene')


@pytest.mark.parametrize('templates', ['name', 'plain', 'zegclip_coco'])
def test_prompts_of_known_words(templates):
    for sentence in fill_in(templates_of(templates), ['sidewalk', 'traffic light']):
        assert WordTokenizer(WORDS).ids(sentence)


def test_a_class_and_its_synonyms_share_a_key_and_all_occur():
    texts = {phrase('1', rng(n)) for n in range(200)}
    assert {'sidewalk', 'the pavement', 'a footpath'} <= texts
    assert {phrase('13#red', rng(n)).split()[-2] for n in range(50)} == {'red'}
    several = {phrase('13', rng(n), count=2) for n in range(60)}
    assert any(text.startswith(COUNTS[2]) for text in several)
    assert any(phrase('8:tree', rng(n), count=9).startswith(MANY) for n in range(20))
    assert phrase('13:estate', rng(4)) and 'a estate' not in {
        phrase('13:estate', rng(n)) for n in range(60)
    }


def test_sights_tell_pixels_number_and_place():
    picture = render_picture(1)
    seen = sights(picture, WHOLE)
    label = labels_of(picture.codes)
    for key, sight in seen.items():
        if key.isdigit():
            _, columns = np.nonzero(label == int(key))
            kept = picture.codes[label == int(key)] != 0xFFFF
            assert sight.pixels == kept.sum()
            assert sight.place == pytest.approx((columns[kept] + 0.5).mean() / 256)
        assert sight.count <= sight.pixels / SURE


@pytest.mark.parametrize(
    ('look', 'expected'),
    [(NIGHT, 'night'), (FOG, 'fog'), (RAIN, 'rain'), (SNOW, 'snow'), (CLEAR, 'sun')],
)
def test_the_weather_is_named(look, expected):
    assert {weather(Air.draw(look, rng(n))) for n in range(10)} == {expected}


def test_a_crop_of_nothing_has_a_caption():
    air = render_picture(0).air
    assert caption({'13': Sight(pixels=SURE - 1)}, air, rng(0)) == 'nothing'
