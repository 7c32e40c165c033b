"""Solid models of small vehicles: cars and motorcycles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rein_seg.scenes.streets.mesh import Mesh, MeshBuilder, Outline

# Each car: outline from the rear bumper over the roof to the nose, material of each strip, windows.
_CARS: dict[str, tuple[Outline, str, tuple[Outline, ...]]] = {
    'sedan': (
        (
            (-2.2, 0.3),
            (-2.22, 0.75),
            (-2.12, 1.0),
            (-1.6, 1.03),
            (-0.95, 1.43),
            (0.2, 1.46),
            (0.95, 1.02),
            (1.95, 0.86),
            (2.2, 0.68),
            (2.2, 0.3),
        ),
        'bbtgrgbbbb',
        (
            ((-1.4, 1.04), (-0.9, 1.37), (-0.4, 1.39), (-0.4, 1.0)),
            ((-0.3, 1.0), (-0.3, 1.39), (0.18, 1.39), (0.75, 1.02)),
        ),
    ),
    'hatch': (
        (
            (-1.9, 0.32),
            (-1.95, 0.8),
            (-1.9, 1.0),
            (-1.55, 1.46),
            (-0.4, 1.52),
            (0.35, 1.48),
            (1.05, 1.02),
            (1.75, 0.88),
            (1.98, 0.7),
            (1.98, 0.32),
        ),
        'bbgrrgbbbb',
        (
            ((-1.6, 1.06), (-1.4, 1.4), (-0.45, 1.44), (-0.45, 1.02)),
            ((-0.33, 1.02), (-0.33, 1.44), (0.3, 1.41), (0.88, 1.03)),
        ),
    ),
    'estate': (
        (
            (-2.3, 0.32),
            (-2.34, 0.8),
            (-2.3, 1.0),
            (-1.95, 1.46),
            (-0.6, 1.5),
            (0.2, 1.47),
            (0.95, 1.02),
            (1.95, 0.86),
            (2.25, 0.68),
            (2.25, 0.32),
        ),
        'bbgrrgbbbb',
        (
            ((-2.0, 1.06), (-1.82, 1.4), (-1.2, 1.42), (-1.2, 1.04)),
            ((-1.1, 1.04), (-1.1, 1.42), (-0.35, 1.42), (-0.35, 1.02)),
            ((-0.25, 1.02), (-0.25, 1.42), (0.18, 1.4), (0.76, 1.03)),
        ),
    ),
    'suv': (
        (
            (-2.2, 0.4),
            (-2.26, 0.95),
            (-2.2, 1.15),
            (-1.9, 1.68),
            (-0.6, 1.74),
            (0.3, 1.7),
            (0.95, 1.18),
            (1.85, 1.05),
            (2.15, 0.85),
            (2.15, 0.4),
        ),
        'bbgrrgbbbb',
        (
            ((-1.95, 1.2), (-1.78, 1.6), (-1.2, 1.64), (-1.2, 1.18)),
            ((-1.1, 1.18), (-1.1, 1.64), (-0.35, 1.64), (-0.35, 1.16)),
            ((-0.25, 1.16), (-0.25, 1.64), (0.25, 1.61), (0.78, 1.17)),
        ),
    ),
    'van': (
        (
            (-2.5, 0.38),
            (-2.52, 1.1),
            (-2.5, 1.2),
            (-2.42, 1.92),
            (0.2, 1.95),
            (1.1, 1.85),
            (1.75, 1.2),
            (2.35, 1.02),
            (2.5, 0.75),
            (2.5, 0.38),
        ),
        'bbgrrgbbbb',
        (
            ((0.5, 1.2), (0.5, 1.7), (1.02, 1.7), (1.45, 1.2)),
            ((-0.7, 1.2), (-0.7, 1.72), (0.35, 1.72), (0.35, 1.2)),
            ((-2.2, 1.2), (-2.2, 1.72), (-0.85, 1.72), (-0.85, 1.2)),
        ),
    ),
}
_STRIPS = {'b': 'body', 't': 'body', 'g': 'glass', 'r': 'body'}
CAR_STYLES = tuple(_CARS)


def _narrowing(half: float, belt: float, lean: float) -> Callable[[float], float]:
    """Returns a half width that shrinks above the belt line by lean per metre."""
    return lambda h: half - lean * max(h - belt, 0.0)


@lru_cache(maxsize=16)
def car(style: str) -> Mesh:
    """Builds a car."""
    outline, strips, windows = _CARS[style]
    width = _narrowing(0.9, 0.95, 0.28)  # windows lean inwards
    build = MeshBuilder()
    build.extrude(outline, width, edges=[_STRIPS[s] for s in strips[:-1]] + [''], side='body')
    lower = [
        (outline[0][0], 0.3),
        (outline[0][0], 0.42),
        (outline[-1][0], 0.42),
        (outline[-1][0], 0.3),
    ]
    build.sides(lower, lambda h: 0.905, material='dark', solid=False)
    for window in windows:
        build.sides(window, lambda h: width(h) + 0.005, material='glass', solid=False)
    rear, belt = outline[1][0], outline[1][1]
    nose, top = outline[-2]
    build.end(rear - 0.02, (outline[0][1], 0.5), (0.0, 0.88), 'dark')
    build.end(nose + 0.005, (outline[0][1], 0.46), (0.0, 0.88), 'dark')
    build.end(rear, (belt - 0.02, belt + 0.16), (0.56, 0.84), 'tail')
    build.end(rear - 0.03, (0.56, 0.68), (0.0, 0.26), 'plate')
    build.end(nose + 0.01, (top - 0.14, top + 0.02), (0.5, 0.82), 'lamp')
    build.end(nose + 0.01, (top - 0.2, top - 0.06), (0.0, 0.4), 'dark')
    build.end(nose + 0.02, (0.42, 0.52), (0.0, 0.26), 'plate')
    length = nose - rear
    build.wheels((rear + 0.2 * length, nose - 0.19 * length), 0.32, 0.91)
    return build.build()


@lru_cache(maxsize=2)
def motorcycle() -> Mesh:
    """Builds a motorcycle, 2.1 m long."""
    build = MeshBuilder().wheels((-0.7, 0.72), 0.32, 0.09)
    outline = (
        (-1.0, 0.72),
        (-0.95, 0.88),
        (-0.1, 0.84),
        (0.15, 1.02),
        (0.5, 0.98),
        (0.68, 0.7),
        (0.3, 0.28),
        (-0.35, 0.28),
    )
    edges = ('body', 'dark', 'dark', 'body', 'body', 'dark', '', 'dark')
    build.extrude(outline, lambda h: 0.19, edges=edges, side='body')
    engine = ((-0.35, 0.3), (-0.3, 0.62), (0.35, 0.62), (0.3, 0.3))
    build.sides(engine, lambda h: 0.2, material='hub', solid=False)
    fork = ((0.68, 0.34), (0.4, 1.1), (0.48, 1.12), (0.78, 0.34))
    build.sides(fork, lambda h: 0.12, material='hub')
    bar = ((0.38, 1.02), (0.38, 1.1), (0.44, 1.1), (0.44, 1.02))
    build.extrude(bar, lambda h: 0.38, edges=('dark', 'dark', 'dark', ''), side='dark')
    build.end(0.69, (0.72, 0.9), (0.0, 0.1), 'lamp').end(-1.01, (0.74, 0.86), (0.0, 0.1), 'tail')
    return build.build()
