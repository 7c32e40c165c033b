"""Captions of crops: what can be seen, how much of it, roughly where, and in what weather.

A *key* names a fact about a crop that phrases can state: ``'13'`` (a car), ``'13:van'``,
``'13#red'``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from rein_seg.pretrain.captions import lexicon
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.pictures import Picture

Window = tuple[int, int, int, int]
SURE = 16  # pixels of 256 x 128: with fewer, neither a caption nor its absence is trained


@dataclass
class Sight:
    """All that a crop shows of one key.

    Args:
        pixels: Number of pixels.
        places: Place from left (0) to right (1) of each thing with `SURE` pixels.
        depth: Distance of the largest thing, in metres; 0 for ground and sky.
        shift: Pixels times place, summed.
    """

    pixels: int = 0
    count: int = 0
    depth: float = 0.0
    shift: float = 0.0

    @property
    def place(self) -> float:
        """Mean place from left (0) to right (1)."""
        return self.shift / max(self.pixels, 1)


def sights(picture: Picture, window: Window) -> dict[str, Sight]:
    """Returns what a crop shows, by key.

    Args:
        picture: The picture.
        window: (top, left, bottom, right) in pixels.
    """
    found: dict[str, Sight] = defaultdict(Sight)
    colours = not _odd_colours(picture.air)
    for thing, pixels, place in picture.seen(window):
        keys = [str(thing.label)]
        kinds = (thing.kind, *lexicon.ALSO.get(thing.kind, ()))
        keys += [f'{thing.label}:{k}' for k in kinds if (thing.label, k) in lexicon.KINDS]
        if colours and thing.colour and thing.label in lexicon.COLOURED and thing.depth < 45:
            keys.append(f'{thing.label}#{thing.colour}')
        for key in keys:
            sight = found[key]
            if not sight.pixels:  # the largest comes first
                sight.depth = thing.depth
            sight.pixels += pixels
            sight.count += pixels >= SURE
            sight.shift += pixels * place
    return dict(found)


def phrase(key: str, rng: np.random.Generator, *, count: int = 1) -> str:
    """Names a key in one of many ways, such as ``two cars``, ``a red car``, ``the sky``.

    Args:
        key: The key.
        rng: Source of the choice.
        count: Number of things.
    """
    noun, many = _noun(key, rng)
    if count > 1 and many and rng.random() < 0.7:
        numbers = lexicon.COUNTS.get(count, lexicon.MANY)
        return f'{_pick(rng, numbers)} {many}' if rng.random() < 0.8 else many
    word = _pick(rng, lexicon.DETERMINERS)
    if word == 'a' and noun[0] in 'aeiou':
        word = 'an'
    return f'{word} {noun}'.strip()


def _noun(key: str, rng: np.random.Generator) -> tuple[str, str]:
    name, _, colour = key.partition('#')
    label, _, kind = name.partition(':')
    pairs = lexicon.KINDS[int(label), kind] if kind else lexicon.NOUNS[int(label)]
    # the first name is the most usual
    index = 0 if rng.random() < 0.5 else int(rng.integers(len(pairs)))
    one, many = pairs[index]
    if not colour:
        return one, many
    if int(label) == lexicon.labels.PERSON:
        return f'{one} in {colour}', f'{many} in {colour}' if many else ''
    return f'{colour} {one}', f'{colour} {many}' if many else ''


def framed(key: str, rng: np.random.Generator) -> str:
    """Returns a short text about one key: a name, or a sentence with it."""
    return _pick(rng, lexicon.FRAMES).format(phrase(key, rng))


def caption(seen: dict[str, Sight], air: Air, rng: np.random.Generator, *, most: int = 5) -> str:
    """Writes a caption of a crop.

    It names some of the classes in it, large ones first and more often; some by subtype or colour,
    some with their number, some with their place; and sometimes the weather. It is never wrong,
    but need not be complete.

    Args:
        seen: From `sights`.
        air: Light and weather.
        rng: Source of all choices.
        most: Largest number of things.
    """
    classes = [k for k, s in seen.items() if k.isdigit() and s.pixels >= SURE]
    sizes = np.array([seen[k].pixels for k in classes], float)
    if not classes:
        return lexicon.NOTHING
    number = min(len(classes), 1 + int(rng.integers(most)))
    noise = rng.gumbel(size=len(classes))
    chosen = [classes[i] for i in np.argsort(-(0.7 * np.log(sizes) + noise))[:number]]
    parts = [_part(key, seen, rng) for key in chosen]
    text = parts[0]
    for part in parts[1:]:
        text += f' {_pick(rng, lexicon.JOINTS)} {part}'
    if rng.random() < 0.5:
        text = _pick(rng, lexicon.FRAMES).format(text)
    state = weather(air)
    if state and rng.random() < 0.5:
        text += f' {_pick(rng, lexicon.WEATHER[state])}'
    return text


def _part(key: str, seen: dict[str, Sight], rng: np.random.Generator) -> str:
    finer = [
        k for k, s in seen.items() if k.startswith((f'{key}:', f'{key}#')) and s.pixels >= SURE
    ]
    if finer and rng.random() < 0.45:
        key = _pick(rng, finer)
    sight = seen[key]
    text = phrase(key, rng, count=min(sight.count, 5))
    where = 'left' if sight.place < 0.35 else 'right' if sight.place > 0.65 else 'middle'
    draw = rng.random()
    if draw < 0.35:
        return f'{text} {_pick(rng, lexicon.PLACES[where])}'
    if draw < 0.5 and sight.count == 1 and sight.depth:
        far = 'near' if sight.depth < 12 else 'far' if sight.depth > 35 else ''
        return f'{text} {_pick(rng, lexicon.PLACES[far])}' if far else text
    return text


def weather(air: Air) -> str:
    """Names light and weather by the strongest of its parts; '' if there is none.

    Args:
        air: Light and weather of a picture.
    """
    look = air.look
    if look.ambient < 0.32:
        return 'night'
    if air.density > 0.02:
        return 'fog'
    if air.snow > 0.35 or look.flakes[1] > 12:
        return 'snow'
    if air.wet > 0.45 or look.streaks[1] > 12:
        return 'rain'
    if air.sun > 0.25 * look.ambient:
        return 'sun'
    return 'clouds' if air.clouds > 0.6 else ''


def _odd_colours(air: Air) -> bool:
    """Tells whether light and camera change colours beyond their names."""
    look = air.look
    tints = [side for span in look.tint for side in span]
    return look.ambient < 0.4 or look.saturation[0] < 0.6 or min(tints) < 0.85 or max(tints) > 1.15


def _pick(rng: np.random.Generator, choices: tuple[str, ...] | list[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
