"""Poles with street lamps, traffic lights or traffic signs, and bare posts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.draws import between, weighted
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.camera import SHIFT
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.items import Footprint
from rein_seg.scenes.streets.looks import Colour

_GREY = (112.0, 114.0, 116.0)
_LAMPS: tuple[Colour, ...] = ((40, 40, 240), (40, 190, 245), (110, 220, 60))
_RED, _WHITE, _BLUE, _YELLOW = (40, 36, 205), (232, 232, 232), (190, 100, 30), (40, 190, 235)
# Shape, border colour, face colour.
_SIGNS: tuple[tuple[str, Colour, Colour], ...] = (
    ('disc', _RED, _WHITE),
    ('disc', _WHITE, _BLUE),
    ('disc', _WHITE, _RED),
    ('triangle', _RED, _WHITE),
    ('yield', _RED, _WHITE),
    ('diamond', _WHITE, _YELLOW),
    ('square', _WHITE, _BLUE),
    ('octagon', _WHITE, _RED),
    ('board', _WHITE, _BLUE),
    ('board', (50, 50, 50), _YELLOW),
    ('board', _WHITE, (70, 120, 40)),
)
_SIGN_WEIGHTS = (2, 2, 1, 2, 1, 1, 2, 0.6, 0.5, 0.4, 0.4)
_TURN = np.arange(14) * math.pi / 7
_OCTANT = (np.arange(8) + 0.5) * math.pi / 4
# Outlines of unit size as (right, down).
_OUTLINES = {
    'triangle': np.array([(-0.5, 0.43), (0.5, 0.43), (0.0, -0.45)]),
    'yield': np.array([(-0.5, -0.43), (0.5, -0.43), (0.0, 0.45)]),
    'diamond': np.array([(0.0, -0.55), (0.55, 0.0), (0.0, 0.55), (-0.55, 0.0)]),
    'square': np.array([(-0.45, -0.45), (0.45, -0.45), (0.45, 0.45), (-0.45, 0.45)]),
    'board': np.array([(-0.85, -0.45), (0.85, -0.45), (0.85, 0.45), (-0.85, 0.45)]),
    'octagon': 0.52 * np.stack([np.cos(_OCTANT), np.sin(_OCTANT)], axis=1),
    'disc': 0.5 * np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1),
}
_ROWS = tuple(
    np.array([(-0.55, y), (0.4, y), (0.4, y + 0.12), (-0.55, y + 0.12)]) for y in (-0.22, 0.12)
)
_BOX = np.array([(-0.18, -0.5), (0.18, -0.5), (0.18, 0.5), (-0.18, 0.5)])


@dataclass(frozen=True)
class Sign:
    """A plate on a pole: index of its kind, size and height of its middle in metres."""

    kind: int
    size: float
    height: float
    back: bool = False


@dataclass(frozen=True)
class Signal:
    """A traffic light on a pole: which lamp is on, sideways offset and height of its middle."""

    lit: int
    offset: float
    height: float
    back: bool = False


@dataclass(frozen=True)
class Pole:
    """A pole with its lamp, signs and traffic lights.

    Args:
        x: Position in metres.
        z: Distance in metres.
        height: Height in metres.
        width: Diameter in metres.
        arm: Reach of its arm over the road, signed, in metres; 0 for none.
        lamp: Whether a street lamp hangs at the arm's end.
        signs: Plates.
        signals: Traffic lights.
        colour: Colour of the pole.
    """

    x: float
    z: float
    height: float
    width: float = 0.14
    arm: float = 0.0
    lamp: bool = False
    signs: tuple[Sign, ...] = ()
    signals: tuple[Signal, ...] = ()
    colour: Colour = _GREY

    @property
    def depth(self) -> float:
        """Distance in metres."""
        return self.z

    @property
    def shade(self) -> Footprint:
        """Shadow of a thin post."""
        return Footprint.round(self.x, self.z, radius=self.width / 2, height=self.height, base=0.0)

    def draw(self, canvas: Canvas) -> None:
        """Draws pole, arm, plates, lights."""
        if not canvas.camera.sees(self.x, self.z, 1.2 + abs(self.arm)):
            return
        metre = canvas.camera.scale(self.z)
        # at least a pixel of the final picture: far poles must not vanish from the label
        thick = max(self.width * metre, 2.0)
        ends = [(self.x, 0.0, self.z), (self.x, self.height, self.z)]
        if self.arm:
            rise = 0.35 if self.lamp else 0.05
            ends.append((self.x + self.arm, self.height + rise, self.z))
        pixels = canvas.camera.fixed_few(ends)
        colour = canvas.tone(self.colour, self.z)
        for i in range(len(ends) - 1):
            width = thick if i == 0 else max(0.7 * thick, 1.5)
            canvas.limb(pixels[i], pixels[i + 1], width, colour=colour, label=labels.POLE)
        for sign in self.signs:
            self._plate(canvas, sign)
        for signal in self.signals:
            self._signal(canvas, signal, metre)
        if self.lamp:
            self._lamp(canvas, pixels[-1], metre)

    def _plate(self, canvas: Canvas, sign: Sign) -> None:
        shape, border, inner = _SIGNS[sign.kind]
        if sign.back:
            border = inner = (128, 130, 130)
        centre = (self.x, sign.height, self.z - 0.1)
        outer, core = canvas.tone(border, self.z, 1.08), canvas.tone(inner, self.z, 1.08)
        canvas.billboard(centre, _OUTLINES[shape], sign.size, colour=outer, label=labels.SIGN)
        low = (self.x, sign.height - (0.06 if shape == 'triangle' else 0.0), self.z - 0.1)
        canvas.billboard(low, _OUTLINES[shape], 0.72 * sign.size, colour=core)
        if shape == 'board' and not sign.back:
            for row in _ROWS:
                canvas.billboard(centre, row, sign.size, colour=outer)

    def _signal(self, canvas: Canvas, signal: Signal, metre: float) -> None:
        x, h = self.x + signal.offset, signal.height
        dark = canvas.tone((34, 36, 34), self.z)
        canvas.billboard((x, h, self.z - 0.15), _BOX, 1.0, colour=dark, label=labels.LIGHT)
        if signal.back:
            return
        for lamp, offset in enumerate((0.33, 0.0, -0.33)):
            centre = canvas.camera.fixed_few([(x, h + offset, self.z - 0.16)])[0]
            on = lamp == signal.lit
            colour = _LAMPS[lamp]
            tone = canvas.emit(colour, self.z) if on else canvas.tone((40, 44, 44), self.z)
            canvas.disc(centre, max(0.13 * metre, 0.8), colour=tone)
            if on and canvas.air.look.lamps:
                dim = (colour[0] * 0.6, colour[1] * 0.6, colour[2] * 0.6)
                canvas.glow(centre, max(0.8 * metre, 6.0), dim)

    def _lamp(self, canvas: Canvas, end: np.ndarray, metre: float) -> None:
        size = int(0.3 * metre * (1 << SHIFT))
        left, right = end - np.array([size, 0]), end + np.array([size, 0])
        dark = canvas.tone((84, 84, 84), self.z)
        canvas.limb(left, right, max(0.16 * metre, 1.5), colour=dark, label=labels.POLE)
        if canvas.air.look.lamps:
            bright = canvas.emit((170.0, 225.0, 250.0), self.z)
            canvas.limb(left, right, max(0.12 * metre, 1.5), colour=bright)
            canvas.glow(end, max(2.4 * metre, 9.0), (80.0, 130.0, 165.0))


def make_sign(rng: np.random.Generator, height: float) -> Sign:
    """Makes a plate whose middle is near the given height."""
    kind = weighted(rng, _SIGN_WEIGHTS)
    return Sign(kind, between(rng, 0.55, 0.85), height, back=bool(rng.random() < 0.15))
