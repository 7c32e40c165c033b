"""A wall of a house: windows, doors, shops, plinth and cornice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rein_seg.scenes.drawing.draws import between, pick
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.looks import Colour

STOREY = 3.1  # metres
SNOW = (242.0, 240.0, 238.0)
_PLASTERS: tuple[Colour, ...] = (
    (150, 196, 222),
    (176, 206, 226),
    (140, 176, 208),
    (110, 140, 196),
    (90, 108, 170),
    (196, 208, 214),
    (170, 176, 180),
    (206, 214, 216),
    (150, 180, 160),
    (200, 190, 170),
    (84, 100, 140),
    (120, 130, 150),
    (70, 84, 128),
    (160, 150, 140),
)
_ROOFS: tuple[Colour, ...] = ((58, 74, 148), (62, 66, 84), (48, 56, 110), (84, 84, 88))
_SHOPS: tuple[Colour, ...] = (
    (40, 40, 180),
    (150, 80, 30),
    (50, 120, 50),
    (40, 160, 220),
    (40, 40, 44),
    (200, 200, 200),
)
# on smaller walls windows would be noise
_STOREY_PIXELS = 12.0
_PITCH_PIXELS = 3.5
_MARGIN = 6.0
# Corners of a rectangle (a0, a1, h0, h1) in drawing order.
_ALONG, _UP = [0, 1, 1, 0], [2, 2, 3, 3]


@dataclass(frozen=True)
class Plan:
    """Colours and measures (metres) that all walls of a house share."""

    wall: Colour
    roof: Colour
    shop: Colour
    frame: Colour
    pitch: float
    width: float
    tall: float
    mirror: float
    door: float
    dark: float
    awning: bool
    luck: np.ndarray


@lru_cache(maxsize=512)
def plan_of(style: int) -> Plan:
    """Draws the plan of a style."""
    rng = np.random.default_rng(style)
    pitch = between(rng, 2.0, 3.4)
    return Plan(
        wall=scaled(pick(rng, _PLASTERS), between(rng, 0.8, 1.05)),
        roof=pick(rng, _ROOFS),
        shop=pick(rng, _SHOPS),
        frame=(225, 226, 228) if rng.random() < 0.6 else (110, 116, 128),
        pitch=pitch,
        width=pitch * between(rng, 0.36, 0.6),
        tall=between(rng, 1.3, 1.9),
        mirror=between(rng, 0.05, 0.4),
        door=between(rng, 0.2, 0.8),
        dark=between(rng, 0.55, 1.0),
        awning=bool(rng.random() < 0.5),
        luck=rng.random(256),
    )


class Wall:
    """A vertical wall: foot (x, z) of its first corner, direction (dx, dz), length in metres."""

    def __init__(
        self,
        foot: tuple[float, float],
        along: tuple[float, float],
        *,
        length: float,
        normal: tuple[float, float],
    ):
        self.foot, self.along, self.length, self.normal = foot, along, length, normal
        self.street = along[1] != 0.0

    def quads(self, rectangles: np.ndarray) -> np.ndarray:
        """Maps (M, 4) as (from, to, low, high) in metres to corners (M, 4, 3)."""
        along = rectangles[:, _ALONG]
        out = np.empty((len(rectangles), 4, 3))
        out[..., 0] = self.foot[0] + self.along[0] * along
        out[..., 1] = rectangles[:, _UP]
        out[..., 2] = self.foot[1] + self.along[1] * along
        return out

    def at(self, along: float) -> tuple[float, float]:
        """Returns the foot (x, z) of the wall after some metres."""
        return self.foot[0] + self.along[0] * along, self.foot[1] + self.along[1] * along

    def even(self, count: int) -> np.ndarray:
        """Returns the middles (count,) of equal parts of the wall."""
        return (np.arange(count) + 0.5) * (self.length / count)


def _panes(columns: np.ndarray, rows: np.ndarray, *, width: float, tall: float) -> np.ndarray:
    """Returns rectangles (C * R, 4) around all crossings of columns and rows."""
    out = np.empty((len(columns), len(rows), 4))
    out[..., 0] = (columns - width / 2)[:, None]
    out[..., 1] = (columns + width / 2)[:, None]
    out[..., 2] = rows - tall / 2
    out[..., 3] = rows + tall / 2
    return out.reshape(-1, 4)


class Facade:
    """Paints a wall; rectangles of the same colour are collected and drawn in a single call.

    Args:
        canvas: Canvas to paint on.
        wall: Place of the wall.
        plan: Colours and measures of the house.
        storeys: Number of storeys.
        height: Height of the eaves in metres.
        shops: Whether the ground floor has shop windows.
    """

    def __init__(
        self, canvas: Canvas, wall: Wall, plan: Plan, *, storeys: int, height: float, shops: bool
    ):
        self._canvas, self._wall, self._plan = canvas, wall, plan
        self._storeys, self._height, self._shops = storeys, height, shops
        # light and haze at one distance serve the whole wall
        self._z = wall.foot[1] + (0.35 * wall.length if wall.street else 0.0)
        self._shade = canvas.air.face(wall.normal[0], 0.0, wall.normal[1])
        if canvas.air.look.lamps:
            self._shade *= plan.dark
        self._groups: list[tuple[np.ndarray, Colour, int | None]] = []

    def paint(self, *, pierced: bool, snowy: bool) -> None:
        """Paints the wall.

        Args:
            pierced: Whether it has windows and doors; far walls never have.
            snowy: Whether snow lies on its top.
        """
        wall, camera = self._wall, self._canvas.camera
        edges = [camera.column(*wall.at(along)) for along in (0.0, wall.length)]
        if max(edges) < -_MARGIN or min(edges) > camera.width + _MARGIN:
            return
        self._outline(snowy)
        pitch = abs(edges[1] - edges[0]) * self._plan.pitch / wall.length
        near = camera.scale(self._z) * STOREY >= _STOREY_PIXELS and pitch >= _PITCH_PIXELS
        if pierced and near:
            self._windows()
            if self._shops:
                self._shop()
            else:
                self._door()
        self._flush()
        if pierced and near and self._shops and self._plan.awning:
            self._awnings()

    def _add(self, rectangles: np.ndarray, tone: Colour, label: int | None = None) -> None:
        self._groups.append((rectangles, tone, label))

    def _tone(self, colour: Colour, gain: float = 1.0) -> Colour:
        return self._canvas.tone(colour, self._z, self._shade * gain)

    def _flush(self) -> None:
        rectangles = np.concatenate([group[0] for group in self._groups])
        pixels = self._canvas.camera.fixed(self._wall.quads(rectangles))
        start = 0
        for group, tone, label in self._groups:
            stop = start + len(group)
            self._canvas.fill_all(pixels[start:stop], tone, label)
            start = stop

    def _outline(self, snowy: bool) -> None:
        top, length = self._height, self._wall.length
        cornice = 0.35 if self._storeys > 1 else 0.2
        whole = np.array([[0.0, length, 0.0, top]])
        bands = np.array([[0.0, length, 0.0, 0.55], [0.0, length, top - cornice, top]])
        self._add(whole, self._tone(self._plan.wall), labels.BUILDING)
        self._add(bands, self._tone(scaled(self._plan.wall, 0.8)))
        if snowy:
            cap = np.array([[0.0, length, top, top + 0.3]])
            self._add(cap, self._canvas.tone(SNOW, self._z), labels.BUILDING)

    def _windows(self) -> None:
        wall, plan, canvas = self._wall, self._plan, self._canvas
        rows = np.arange(1 if self._shops else 0, self._storeys) * STOREY + 2.15
        columns = wall.even(max(1, int(wall.length / plan.pitch)))
        panes = _panes(columns, rows, width=plan.width, tall=plan.tall)
        if canvas.camera.scale(self._z) * plan.width >= 6:
            self._add(panes + (-0.15, 0.15, -0.17, 0.17), self._tone(plan.frame))
        luck = np.resize(plan.luck, len(panes))
        if canvas.air.look.lamps:
            self._add(panes[luck >= 0.3], canvas.tone((44, 38, 34), self._z))
            self._add(panes[luck < 0.2], canvas.emit((88, 158, 196), self._z))
            self._add(panes[(luck >= 0.2) & (luck < 0.3)], canvas.emit((130, 150, 160), self._z))
            return
        glass = mix((84, 72, 62), canvas.air.look.sky_low, plan.mirror)
        self._add(panes[luck < 0.72], canvas.tone(glass, self._z, 0.9))
        self._add(panes[luck >= 0.72], canvas.tone(mix(glass, plan.wall, 0.45), self._z, 0.95))

    def _shop(self) -> None:
        columns, wide = self._shop_columns()
        canvas = self._canvas
        if canvas.air.look.lamps:
            glass = canvas.emit((120, 176, 205), self._z)
        else:
            glass = canvas.tone((70, 62, 58), self._z)
        self._add(_panes(columns, np.array([1.45]), width=wide * 0.82, tall=2.1), glass)
        boards = _panes(columns, np.array([2.95]), width=wide * 0.94, tall=0.6)
        self._add(boards, self._tone(self._plan.shop))

    def _shop_columns(self) -> tuple[np.ndarray, float]:
        count = max(1, int(self._wall.length / 4.2))
        return self._wall.even(count), self._wall.length / count

    def _awnings(self) -> None:
        """Leans awnings 1.2 m out over the sidewalk, below the shops' boards."""
        columns, wide = self._shop_columns()
        quads = self._wall.quads(_panes(columns, np.array([2.95]), width=wide * 0.94, tall=0.6))
        quads[:, :2, 0] += self._wall.normal[0] * 1.2
        quads[:, :2, 1] -= 0.25
        pixels = self._canvas.camera.fixed(quads)
        self._canvas.fill_all(pixels, self._tone(self._plan.shop, 1.1), labels.BUILDING)

    def _door(self) -> None:
        middle = self._plan.door * self._wall.length
        door = np.array([[middle - 0.62, middle + 0.62, 0.0, 2.3]])
        self._add(door, self._tone(self._plan.shop, 0.7))
