"""Pictures with their contents: what a pixel shows, and the names of things."""

import numpy as np
import pytest

from rein_seg.errors import UserError
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.barriers import Barrier
from rein_seg.scenes.streets.buildings import Building
from rein_seg.scenes.streets.camera import Camera
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.cycles import make_cycle
from rein_seg.scenes.streets.furniture import Pole, Sign
from rein_seg.scenes.streets.mesh import Pose
from rein_seg.scenes.streets.owners import NOTHING, OwnerCanvas, labels_of, split_code
from rein_seg.scenes.streets.pictures import PARTS, Picture, render_picture
from rein_seg.scenes.streets.plants import Hedge, Plant
from rein_seg.scenes.streets.random_looks import NEUTRAL
from rein_seg.scenes.streets.things import Thing, colour_name, thing_of
from rein_seg.scenes.streets.vehicles import make_bus, make_car, make_tram, make_truck

SIZE = (128, 64)
POSE = Pose(1.0, 9.0, 0.4)
CAMERA = Camera(256, 128, focal=200.0, x=0.0, eye=1.4, centre=128.0, horizon=55.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def items():
    return [
        Building(-1, -6.0, 8.0, 12.0, 9.0, 4, style=3),
        Plant(3.0, 12.0, 2.0, (1.5, 2.0), style=5),
        Hedge(4.0, (6.0, 12.0), 1.2),
        Barrier(labels.FENCE, (-4.0, 7.0), (-4.0, 12.0), 1.2, ('bars', 0)),
        Pole(2.0, 8.0, 5.0, arm=1.0, lamp=True, signs=(Sign(0, 0.7, 2.4),)),
        make_car(rng(), POSE),
        make_cycle(rng(), Pose(-1.0, 7.0, 0.3), label=labels.BICYCLE, ridden=True),
    ]


@pytest.mark.parametrize('seed', range(3))
def test_noticing_owners_changes_no_pixel_and_no_label(seed):
    plain, noticing = (
        kind(CAMERA, Air.draw(NEUTRAL, rng(seed)), rng=rng(seed)) for kind in (Canvas, OwnerCanvas)
    )
    for item in sorted(items(), key=lambda item: -item.depth):
        item.draw(plain)
    noticing.draw_all(items())
    image, label = plain.finish()
    same, codes = noticing.finish()
    assert np.array_equal(image, same) and np.array_equal(label, labels_of(codes))
    shown = {split_code(code) for code in np.unique(codes).tolist()}
    assert {(6, labels.CAR), (7, labels.RIDER), (7, labels.BICYCLE)} <= shown
    assert {owner for owner, label in shown if label == labels.POLE} == {5}


def test_a_picture_follows_from_part_seed_and_index():
    first, again = (render_picture(3, seed=1, size=SIZE) for _ in range(2))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.codes, again.codes)
    assert first.things == again.things
    others = [render_picture(3, size=SIZE), render_picture(4, seed=1, size=SIZE)]
    others.append(render_picture(3, part=PARTS[1], seed=1, size=SIZE))
    assert not any(np.array_equal(first.image, other.image) for other in others)
    with pytest.raises(UserError, match='index'):
        render_picture(-1)


@pytest.mark.parametrize('index', range(4))
def test_every_pixel_but_the_hood_belongs_to_a_thing_of_its_class(index):
    picture = render_picture(index, size=SIZE)
    codes = set(np.unique(picture.codes).tolist()) - {NOTHING}
    assert codes == set(picture.things)
    assert all(thing.label == split_code(code)[1] for code, thing in picture.things.items())
    seen = picture.seen((0, 0, SIZE[1], SIZE[0]))
    assert sum(pixels for _, pixels, _ in seen) == (picture.codes != NOTHING).sum()
    assert [p for _, p, _ in seen] == sorted((p for _, p, _ in seen), reverse=True)


def test_things_of_a_window_come_with_pixels_and_place():
    car, road = Thing(labels.CAR, 'van', 'red', 8.0), Thing(labels.ROAD)
    codes = np.zeros((4, 8), np.uint16)
    codes[2:, 6:] = 1 << 5 | labels.CAR
    picture = Picture(np.zeros((4, 8, 3), np.uint8), codes, {0: road, 45: car}, None)
    road_seen, car_seen = picture.seen((0, 0, 4, 8))
    assert road_seen[:2] == (road, 28) and road_seen[2] == pytest.approx((32 * 4 - 28) / 28 / 8)
    assert car_seen == (car, 4, 7 / 8)
    assert picture.seen((2, 6, 4, 8)) == [(car, 4, 0.5)]


@pytest.mark.parametrize(
    ('item', 'label', 'kind'),
    [
        (Plant(0, 9, 2.0, (1, 1)), labels.PLANT, 'tree'),
        (Plant(0, 9, 0.0, (1, 1)), labels.PLANT, 'bush'),
        (Plant(0, 9, 0.5, (1, 1), conifer=True), labels.PLANT, 'conifer'),
        (Hedge(0, (4, 9), 1.0), labels.PLANT, 'hedge'),
        (Building(1, 5, 8, 9, 9, 2, 0), labels.BUILDING, 'house'),
        (Building(1, 5, 8, 9, 9, 8, 0), labels.BUILDING, 'tower'),
        (Building(1, 5, 8, 9, 9, 8, 0, shops=True), labels.BUILDING, 'shop'),
        (Barrier(labels.FENCE, (0, 4), (0, 9), 1, ('rail', 0)), labels.FENCE, 'guardrail'),
        (Barrier(labels.WALL, (0, 4), (0, 9), 1, ('rail', 0)), labels.WALL, ''),
        (Pole(0, 9, 6, lamp=True), labels.POLE, 'lamp'),
        (Pole(0, 9, 0.9), labels.POLE, 'bollard'),
        (Pole(0, 9, 3), labels.POLE, 'post'),
        (Pole(0, 9, 3), labels.SIGN, ''),
        (make_tram(rng(), POSE), labels.TRAIN, 'tram'),
        (
            make_cycle(rng(), POSE, label=labels.MOTORCYCLE, ridden=True),
            labels.RIDER,
            'motorcyclist',
        ),
        (make_cycle(rng(), POSE, label=labels.BICYCLE, ridden=False), labels.BICYCLE, 'parked'),
    ],
)
def test_a_thing_is_named_by_its_kind(item, label, kind):
    thing = thing_of(item, label)
    assert (thing.label, thing.kind, thing.depth) == (label, kind, item.depth)


@pytest.mark.parametrize('make', [make_car, make_bus, make_truck])
def test_a_vehicle_is_named_by_its_style_and_paint(make):
    found = {thing_of(make(rng(seed), POSE), 0).kind for seed in range(60)}
    expected = {
        make_car: {'sedan', 'hatch', 'estate', 'suv', 'van'},
        make_bus: {'city', 'coach', 'double'},
        make_truck: {'box', 'tipper', 'semi'},
    }
    assert found == expected[make]
    vehicle = make(rng(1), POSE)
    paint = vehicle.paint.get('cargo', vehicle.paint['body'])
    assert thing_of(vehicle, 0).colour == colour_name(paint)


@pytest.mark.parametrize(
    ('bgr', 'name'),
    [
        ((200, 30, 20), 'blue'),
        ((40, 190, 40), 'green'),
        ((40, 200, 230), 'yellow'),
        ((20, 110, 230), 'orange'),
        ((140, 140, 140), 'grey'),
        ((90, 110, 150), ''),
    ],
)
def test_a_colour_has_a_name_or_none(bgr, name):
    assert colour_name(bgr) == name
