import numpy as np
import pytest

from rein_seg.errors import UserError
from rein_seg.scenes.drawing.request import generators
from rein_seg.scenes.streets import DOMAINS, SPLITS, looks, render
from rein_seg.scenes.streets.domains import domain_of
from rein_seg.scenes.streets.random_looks import NEUTRAL, draw_look, draw_town
from rein_seg.scenes.streets.views import NAMESPACE, render_views


def test_views_follow_from_seed_and_index_alone():
    first, again = render_views(3, count=2), render_views(3, count=2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert [v.shape for v in first] == [(128, 256, 3)] * 3 and first[0].dtype == np.uint8
    assert not np.array_equal(first[0], render_views(4)[0])
    assert not np.array_equal(first[0], render_views(3, seed=1)[0])
    with pytest.raises(UserError, match='index'):
        render_views(-1)


def test_the_neutral_view_does_not_depend_on_how_many_looks_follow():
    assert np.array_equal(render_views(5, count=1)[0], render_views(5, count=3)[0])


def test_views_show_the_same_things_in_the_same_places():
    """Edges of two views lie in the same places far more often than edges of two streets."""

    def edges(image):
        grey = image.astype(float).mean(2)
        strength = np.abs(np.diff(grey, axis=1))[:-1] + np.abs(np.diff(grey, axis=0))[:, :-1]
        return strength.ravel()

    pairs = [render_views(index) for index in range(12)]
    neutral, other = ([edges(pair[i]) for pair in pairs] for i in (0, 1))
    same = [np.corrcoef(a, b)[0, 1] for a, b in zip(neutral, other, strict=True)]
    apart = [np.corrcoef(a, b)[0, 1] for a, b in zip(neutral, other[1:] + other[:1], strict=True)]
    assert np.mean(same) > 0.25 > np.mean(apart) + 0.1


def test_no_street_of_a_benchmark_comes_up():
    """Other names give other random numbers, for the benchmark's seeds and indexes too."""
    assert NAMESPACE[0] not in DOMAINS and NAMESPACE[1] not in SPLITS
    ours = {generators(*NAMESPACE, i, seed=0, number=1)[0].random() for i in range(200)}
    theirs = {
        generators(domain, split, i, seed=0, number=1)[0].random()
        for domain in DOMAINS
        for split in SPLITS
        for i in range(200)
    }
    assert not ours & theirs
    neutral = render_views(0)[0]
    assert not any(np.array_equal(neutral, render(d, 'val', 0).image) for d in DOMAINS)


def test_looks_are_wider_than_the_domains_and_none_of_them():
    rng = np.random.default_rng(0)
    drawn = [draw_look(rng) for _ in range(300)]
    presets = [domain_of(name).look for name in DOMAINS]
    assert not any(look in presets for look in [*drawn, NEUTRAL])
    for name in ('ambient', 'texture'):
        values = [getattr(look, name) for look in drawn]
        assert min(values) < min(getattr(p, name) for p in presets)
        assert max(values) > max(getattr(p, name) for p in presets)
    for name in ('haze_density', 'wet', 'snow', 'streaks', 'flakes', 'noise', 'saturation'):
        values = [getattr(look, name) for look in drawn]
        assert max(v[1] for v in values) > 0.97 * max(getattr(p, name)[1] for p in presets)
        assert min(v[0] for v in values) <= 0.01 + min(getattr(p, name)[0] for p in presets)
    both = [look for look in drawn if look.snow[1] and look.streaks[1]]
    assert both and isinstance(draw_town(rng).storeys[0], int)
    assert looks.NIGHT.lamps and any(look.lamps and look.snow[1] for look in drawn)
