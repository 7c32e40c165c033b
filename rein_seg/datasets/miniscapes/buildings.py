"""Houses: a box with windows, doors, shops and a roof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.datasets.miniscapes import labels
from rein_seg.datasets.miniscapes.air import mix, scaled
from rein_seg.datasets.miniscapes.canvas import Canvas
from rein_seg.datasets.miniscapes.domains import Colour
from rein_seg.datasets.miniscapes.items import Footprint

_PLASTERS: tuple[Colour, ...] = (
    (150, 196, 222), (176, 206, 226), (140, 176, 208), (110, 140, 196), (90, 108, 170),
    (196, 208, 214), (170, 176, 180), (206, 214, 216), (150, 180, 160), (200, 190, 170),
    (84, 100, 140), (120, 130, 150),
)
_ROOFS: tuple[Colour, ...] = ((58, 74, 148), (62, 66, 84), (48, 56, 110), (84, 84, 88))
_SHOPS: tuple[Colour, ...] = (
    (40, 40, 180), (150, 80, 30), (50, 120, 50), (40, 160, 220), (40, 40, 44), (200, 200, 200)
)
_SNOW = (242.0, 240.0, 238.0)
_STOREY = 3.1


@dataclass(frozen=True)
class Face:
    """A vertical wall of a house: foot of its first corner, direction along it, length."""

    x: float
    z: float
    along: tuple[float, float]
    length: float
    normal: tuple[float, float]

    def points(self, spans: np.ndarray) -> np.ndarray:
        """Maps (..., 2) as (metres along, height) to (..., 3) as (x, h, z)."""
        out = np.empty(spans.shape[:-1] + (3,))
        out[..., 0] = self.x + self.along[0] * spans[..., 0]
        out[..., 1] = spans[..., 1]
        out[..., 2] = self.z + self.along[1] * spans[..., 0]
        return out

    def panes(self, columns: np.ndarray, rows: np.ndarray, size: tuple[float, float]) -> np.ndarray:
        """Returns panes (M, 4, 3) of a size (width, height) around every column and row."""
        middle = np.stack(np.meshgrid(columns, rows, indexing='ij'), axis=-1).reshape(-1, 1, 2)
        corner = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * size
        return self.points(middle + corner)


@dataclass(frozen=True)
class Building:
    """A house at the side of the street.

    Args:
        side: -1 left, 1 right.
        front: x of the wall along the street in metres.
        start: Distance of its near end in metres.
        length: Length along the street in metres.
        deep: Extent away from the street in metres.
        storeys: Number of storeys.
        style: Seed of its looks.
        shops: Whether the ground floor has shop windows.
        pitched: Whether it has a pitched roof.
    """

    side: int
    front: float
    start: float
    length: float
    deep: float
    storeys: int
    style: int
    shops: bool = False
    pitched: bool = False

    @property
    def height(self) -> float:
        """Height of the eaves in metres."""
        return self.storeys * _STOREY + 0.7

    @property
    def depth(self) -> float:
        """Distance of the far end, so that what stands before the wall is painted later."""
        return self.start + self.length

    @property
    def shade(self) -> Footprint:
        """Shadow of the box."""
        inner, outer = self.front, self.front + self.side * self.deep
        far = self.start + self.length
        ground = np.array([[inner, self.start], [outer, self.start], [outer, far], [inner, far]])
        return Footprint(ground, self.height)

    def draw(self, canvas: Canvas) -> None:
        """Draws roof, the wall that faces the camera, the wall along the street."""
        rng = np.random.default_rng(self.style)
        wall = scaled(_PLASTERS[rng.integers(len(_PLASTERS))], rng.uniform(0.82, 1.05))
        end = Face(self.front, self.start, (float(self.side), 0.0), self.deep, (0.0, -1.0))
        street = Face(self.front, self.start, (0.0, 1.0), self.length, (-float(self.side), 0.0))
        if self.pitched:
            self._roof(canvas, _ROOFS[rng.integers(len(_ROOFS))], wall)
        plan = _Plan.draw(rng, self.shops)
        for face in (end, street):
            self._wall(canvas, face, wall, plan=plan)

    def _wall(self, canvas: Canvas, face: Face, wall: Colour, *, plan: _Plan) -> None:
        z = face.z + (0.35 * face.length if face.along[1] else 0.0)
        shade = canvas.air.face(face.normal[0], 0.0, face.normal[1])
        if canvas.air.look.lamps:
            shade *= plan.dark
        box = np.array([[0.0, 0.0], [face.length, 0.0], [face.length, self.height],
                        [0.0, self.height]])
        canvas.face(face.points(box), canvas.tone(wall, z, shade), labels.BUILDING)
        self._bands(canvas, face, canvas.tone(scaled(wall, 0.8), z, shade), z=z)
        if canvas.camera.scale(z) * _STOREY < 9:
            return
        self._windows(canvas, face, wall, plan=plan, z=z, shade=shade)
        if self.shops and face.along[1]:
            self._shop(canvas, face, plan=plan, z=z, shade=shade)
        else:
            self._door(canvas, face, plan=plan, z=z, shade=shade)

    def _bands(self, canvas: Canvas, face: Face, colour: Colour, *, z: float) -> None:
        cornice = 0.35 if self.storeys > 1 else 0.2
        for low, high in ((0.0, 0.55), (self.height - cornice, self.height)):
            band = np.array([[0.0, low], [face.length, low], [face.length, high], [0.0, high]])
            canvas.face(face.points(band), colour)
        if canvas.air.snow and not self.pitched:
            top = self.height
            cap = np.array([[0.0, top], [face.length, top], [face.length, top + 0.3],
                            [0.0, top + 0.3]])
            canvas.face(face.points(cap), canvas.tone(_SNOW, z), labels.BUILDING)

    def _windows(
        self, canvas: Canvas, face: Face, wall: Colour, *, plan: _Plan, z: float, shade: float
    ) -> None:
        count = max(1, int(face.length / plan.pitch))
        columns = (np.arange(count) + 0.5) * face.length / count
        first = 1 if self.shops and face.along[1] else 0
        rows = (np.arange(first, self.storeys)) * _STOREY + 2.15
        size = (plan.width, plan.tall)
        panes = canvas.camera.fixed(face.panes(columns, rows, size))
        if canvas.camera.scale(z) * plan.width >= 6:
            frame = (plan.width + 0.3, plan.tall + 0.34)
            frames = canvas.camera.fixed(face.panes(columns, rows, frame))
            canvas.fill_all(frames, canvas.tone(plan.frame, z, shade))
        lit = np.random.default_rng(self.style + 1).random(len(panes))
        if canvas.air.look.lamps:
            glass = canvas.tone((44, 38, 34), z)
            canvas.fill_all(panes[lit >= 0.3], glass)
            canvas.fill_all(panes[lit < 0.2], canvas.emit((88, 158, 196), z))
            canvas.fill_all(panes[(lit >= 0.2) & (lit < 0.3)], canvas.emit((130, 150, 160), z))
            return
        glass = mix((84, 72, 62), canvas.air.look.sky_low, plan.mirror)
        canvas.fill_all(panes[lit < 0.72], canvas.tone(glass, z, 0.9))
        canvas.fill_all(panes[lit >= 0.72], canvas.tone(mix(glass, wall, 0.45), z, 0.95))

    def _shop(
        self, canvas: Canvas, face: Face, *, plan: _Plan, z: float, shade: float
    ) -> None:
        count = max(1, int(face.length / 4.2))
        columns = (np.arange(count) + 0.5) * face.length / count
        wide = face.length / count
        panes = canvas.camera.fixed(face.panes(columns, np.array([1.45]), (wide * 0.82, 2.1)))
        if canvas.air.look.lamps:
            canvas.fill_all(panes, canvas.emit((120, 176, 205), z))
        else:
            canvas.fill_all(panes, canvas.tone((70, 62, 58), z))
        boards = face.panes(columns, np.array([2.95]), (wide * 0.94, 0.6))
        canvas.fill_all(canvas.camera.fixed(boards), canvas.tone(plan.shop, z, shade))
        if plan.awning:
            # The awning leans 1.2 m out over the sidewalk.
            outer = boards.copy()
            outer[:, :2, 0] += face.normal[0] * 1.2
            outer[:, :2, 1] -= 0.25
            canvas.fill_all(canvas.camera.fixed(outer), canvas.tone(plan.shop, z, shade * 1.1))

    def _door(
        self, canvas: Canvas, face: Face, *, plan: _Plan, z: float, shade: float
    ) -> None:
        centre = np.array([plan.door * face.length])
        door = face.panes(centre, np.array([1.15]), (1.25, 2.3))
        canvas.fill_all(canvas.camera.fixed(door), canvas.tone(plan.shop, z, shade * 0.7))

    def _roof(self, canvas: Canvas, colour: Colour, wall: Colour) -> None:
        rise = min(0.32 * self.deep, 4.0)
        inner, ridge = self.front, self.front + self.side * self.deep / 2
        outer, far, top = self.front + self.side * self.deep, self.start + self.length, self.height
        gable = [(inner, top, self.start), (ridge, top + rise, self.start), (outer, top, self.start)]
        canvas.face(gable, canvas.tone(wall, self.start, canvas.air.face(0, 0, -1)),
                    labels.BUILDING)
        eave = inner - self.side * 0.4
        slope = [(eave, top - 0.15, self.start - 0.3), (eave, top - 0.15, far + 0.3),
                 (ridge, top + rise, far + 0.3), (ridge, top + rise, self.start - 0.3)]
        if canvas.air.snow:
            colour = mix(colour, _SNOW, min(1.0, 0.4 + 0.6 * canvas.air.snow))
        shade = canvas.air.face(-0.6 * self.side, 0.8, 0.0)
        canvas.face(slope, canvas.tone(colour, self.start, shade), labels.BUILDING)


@dataclass(frozen=True)
class _Plan:
    """Random measures that all walls of a house share, in metres."""

    pitch: float
    width: float
    tall: float
    mirror: float
    door: float
    dark: float
    awning: bool
    shop: Colour
    frame: Colour

    @classmethod
    def draw(cls, rng: np.random.Generator, shops: bool) -> _Plan:
        pitch = float(rng.uniform(2.0, 3.4))
        return cls(
            pitch=pitch,
            width=pitch * float(rng.uniform(0.36, 0.6)),
            tall=float(rng.uniform(1.3, 1.9)),
            mirror=float(rng.uniform(0.05, 0.4)),
            door=float(rng.uniform(0.2, 0.8)),
            dark=float(rng.uniform(0.55, 1.0)),
            awning=bool(shops and rng.random() < 0.5),
            shop=_SHOPS[rng.integers(len(_SHOPS))],
            frame=(225, 226, 228) if rng.random() < 0.6 else (110, 116, 128),
        )
