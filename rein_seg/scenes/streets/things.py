"""The kinds of the things that a street can hold, by name: subtype, colour, state."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from rein_seg.scenes.streets import labels, large_models, small_models
from rein_seg.scenes.streets.barriers import Barrier
from rein_seg.scenes.streets.buildings import Building
from rein_seg.scenes.streets.cycles import Cycle
from rein_seg.scenes.streets.figures import Person
from rein_seg.scenes.streets.furniture import Pole
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.looks import Colour
from rein_seg.scenes.streets.plants import Hedge, Plant
from rein_seg.scenes.streets.vehicles import Vehicle

_BARRIERS = {'bars': 'railing', 'mesh': 'mesh', 'planks': 'planks', 'rail': 'guardrail'}
_HUES = (  # end of a range of hues in degrees, its colour
    (18, 'red'),
    (48, 'orange'),
    (72, 'yellow'),
    (165, 'green'),
    (265, 'blue'),
    (335, 'purple'),
    (361, 'red'),
)


@dataclass(frozen=True)
class Thing:
    """A visible part of an item of one class.

    Args:
        label: Train id.
        kind: Name of the subtype, or '' without a name.
        colour: Name of the colour, or ''.
        depth: Distance in metres.
    """

    label: int
    kind: str = ''
    colour: str = ''
    depth: float = 0.0


def thing_of(item: Item, label: int) -> Thing:
    """Describes the part of an item that has a class.

    Args:
        item: An item of a street.
        label: Train id; a rider and its bicycle are two parts of one item.

    Example:
        >>> from rein_seg.scenes.streets.labels import PLANT
        >>> from rein_seg.scenes.streets.plants import Plant
        >>> from rein_seg.scenes.streets.things import thing_of
        >>> thing_of(Plant(0.0, 9.0, 0.5, (1.0, 2.0), conifer=True), PLANT)
        Thing(label=8, kind='conifer', colour='', depth=9.0)
    """
    kind, colour = _kind_of(item, label)
    return Thing(label, kind, colour, float(item.depth))


def _kind_of(item: Item, label: int) -> tuple[str, str]:
    if isinstance(item, Vehicle):
        return _vehicle(item), colour_name(item.paint.get('cargo', item.paint['body']))
    if isinstance(item, Cycle):
        if label == labels.RIDER:
            return 'cyclist' if item.label == labels.BICYCLE else 'motorcyclist', ''
        return ('ridden' if item.rider else 'parked'), colour_name(item.paint)
    if isinstance(item, Person):
        return ('umbrella' if item.extra == 'umbrella' else ''), colour_name(item.top)
    if isinstance(item, Hedge):
        return 'hedge', ''
    if isinstance(item, Plant):
        return ('conifer' if item.conifer else 'tree' if item.trunk else 'bush'), ''
    if isinstance(item, Building):
        return ('shop' if item.shops else 'tower' if item.storeys >= 6 else 'house'), ''
    if isinstance(item, Barrier):
        return (_BARRIERS[item.style[0]] if item.label == labels.FENCE else ''), ''
    if isinstance(item, Pole) and label == labels.POLE:
        return ('lamp' if item.lamp else 'bollard' if item.height < 1.2 else 'post'), ''
    return '', ''


def _vehicle(item: Vehicle) -> str:
    """Returns the style of a vehicle, found by its model, which is made once for each style."""
    if item.label == labels.CAR:
        styles = {id(small_models.car(style)): style for style in small_models.CAR_STYLES}
    elif item.label == labels.BUS:
        styles = {id(large_models.bus(style)): style for style in large_models.BUS_STYLES}
    elif item.label == labels.TRUCK:
        styles = {id(large_models.truck(style)[0]): style for style in large_models.TRUCK_STYLES}
    else:
        return 'tram'
    return styles[id(item.parts[0])]


def colour_name(colour: Colour) -> str:
    """Names a colour; '' for a colour between two names.

    Example:
        >>> from rein_seg.scenes.streets.things import colour_name
        >>> colour_name((40, 36, 176)), colour_name((232, 232, 232)), colour_name((36, 34, 34))
        ('red', 'white', 'black')
    """
    blue, green, red = (min(max(channel / 255.0, 0.0), 1.0) for channel in colour)
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < 0.24:
        return 'black'
    if saturation < 0.16:
        return 'white' if value > 0.78 else 'grey'
    if saturation < 0.4:
        return ''
    return next(name for end, name in _HUES if hue * 360 < end)
