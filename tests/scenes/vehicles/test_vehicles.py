"""Drawn vehicles: contents, repeatability, size in the picture, words of the text tower."""

import cv2
import numpy as np
import pytest

from rein_seg.errors import UserError
from rein_seg.pretrain.captions import lexicon
from rein_seg.scenes.drawing.request import generators
from rein_seg.scenes.streets.domains import domain_of
from rein_seg.scenes.streets.street import draw_street
from rein_seg.scenes.streets.things import colour_name
from rein_seg.scenes.vehicles import CLASSES, COLOURS, DOMAINS, contents, ensure_cached, render
from rein_seg.scenes.vehicles.framing import corners, frame
from rein_seg.scenes.vehicles.kinds import KINDS, PAINTS, make


def street_of(seed):
    rng = np.random.default_rng(seed)
    return draw_street(domain_of('clear').town, rng), rng


def test_96_pictures_have_each_colour_of_each_subtype_once():
    pairs = [contents(index) for index in range(96)]
    assert sorted(pairs) == sorted((s, c) for s in CLASSES for c in COLOURS)
    assert contents(96 + 5) == contents(5) == ('box truck', 'white')


@pytest.mark.parametrize('domain', DOMAINS)
def test_the_same_arguments_give_the_same_picture(domain):
    first, second = (render(domain, 'val', 9, seed=2) for _ in range(2))
    assert first.image.shape == (72, 96, 3) and first.image.dtype == np.uint8
    assert np.array_equal(first.image, second.image)
    others = [('val', 9, 3), ('train', 9, 2), ('test', 9, 2), ('val', 105, 2)]
    for split, index, seed in others:
        other = render(domain, split, index, seed=seed)
        assert (other.subtype, other.colour) == (first.subtype, first.colour)
        assert not np.array_equal(other.image, first.image)


@pytest.mark.parametrize('subtype', CLASSES)
@pytest.mark.parametrize('seed', range(4))
def test_a_vehicle_is_in_the_picture_whole_and_large(subtype, seed):
    street, rng = street_of(seed)
    thing = make(KINDS[subtype], 'red', street, rng)
    camera = frame(thing, (96, 72), rng)
    x, y = (camera.fixed(thing.pose.place(corners(thing))) / 8).T
    assert x.min() >= 0 and x.max() <= camera.width and y.min() >= 0 and y.max() <= camera.height
    assert max(np.ptp(x) / camera.width, np.ptp(y) / camera.height) > 0.78


@pytest.mark.parametrize('colour', COLOURS)
def test_paints_keep_their_names_in_any_light_of_the_set(colour):
    assert {colour_name([light * c for c in PAINTS[colour]]) for light in (0.88, 1.0, 1.1)} == {
        colour
    }


def test_a_red_van_is_red_and_a_blue_van_blue():
    hues = {}
    for turn, colour in enumerate(COLOURS):
        hsv = cv2.cvtColor(render('clear', 'train', 16 * turn + 4).image, cv2.COLOR_BGR2HSV)
        middle = hsv[18:54, 24:72].reshape(-1, 3)
        vivid = middle[(middle[:, 1] > 120) & (middle[:, 2] > 60)]
        hues[colour] = np.median((vivid[:, 0].astype(int) + 20) % 180) if len(vivid) else None
    assert abs(hues['red'] - 20) < 8 and abs(hues['yellow'] - 48) < 8
    assert abs(hues['green'] - 75) < 15 and abs(hues['blue'] - 130) < 12


def test_every_subtype_and_colour_has_words_that_the_text_tower_knows():
    named = {one for table in (lexicon.NOUNS, lexicon.KINDS) for pairs in table.values()
             for one, _ in pairs}  # fmt: skip
    assert set(CLASSES) <= named and set(COLOURS) <= set(lexicon.COLOURS)


def test_no_street_of_miniscapes_comes_up_again():
    ours, theirs = (
        generators(domain, 'val', 0, seed=0, number=1)[0].random()
        for domain in ('vehicles clear', 'clear')
    )
    assert ours != theirs


def test_the_cache_keeps_images_alone_and_draws_a_damaged_picture_again(tmp_path):
    folder = ensure_cached(tmp_path, 'fog', 'val', 2, size=(48, 36))
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*.png')) == [
        'images/00000.png',
        'images/00001.png',
    ]
    path = folder / 'images/00001.png'
    before = path.read_bytes()
    path.write_bytes(before[:-30])
    ensure_cached(tmp_path, 'fog', 'val', 2, size=(48, 36))
    assert path.read_bytes() == before
    assert np.array_equal(cv2.imread(str(path)), render('fog', 'val', 1, size=(48, 36)).image)


def test_an_unknown_domain_is_one_line():
    with pytest.raises(UserError, match="domain: got 'foggy', expected one of .*fog"):
        render('foggy', 'val', 0)
