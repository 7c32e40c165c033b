"""Solid models of the vehicles: cars, trucks, buses, trams and motorcycles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rein_seg.datasets.miniscapes.mesh import Mesh, MeshBuilder, Outline

# Each car: outline from the rear bumper over the roof to the nose, material of each strip, windows.
_CARS: dict[str, tuple[Outline, str, tuple[Outline, ...]]] = {
    'sedan': (
        ((-2.2, 0.3), (-2.22, 0.75), (-2.12, 1.0), (-1.6, 1.03), (-0.95, 1.43), (0.2, 1.46),
         (0.95, 1.02), (1.95, 0.86), (2.2, 0.68), (2.2, 0.3)),
        'dbtgrgbbdd',
        (((-1.4, 1.04), (-0.9, 1.37), (-0.4, 1.39), (-0.4, 1.0)),
         ((-0.3, 1.0), (-0.3, 1.39), (0.18, 1.39), (0.75, 1.02))),
    ),
    'hatch': (
        ((-1.9, 0.32), (-1.95, 0.8), (-1.9, 1.0), (-1.55, 1.46), (-0.4, 1.52), (0.35, 1.48),
         (1.05, 1.02), (1.75, 0.88), (1.98, 0.7), (1.98, 0.32)),
        'dbgrrgbbdd',
        (((-1.6, 1.06), (-1.4, 1.4), (-0.45, 1.44), (-0.45, 1.02)),
         ((-0.33, 1.02), (-0.33, 1.44), (0.3, 1.41), (0.88, 1.03))),
    ),
    'estate': (
        ((-2.3, 0.32), (-2.34, 0.8), (-2.3, 1.0), (-1.95, 1.46), (-0.6, 1.5), (0.2, 1.47),
         (0.95, 1.02), (1.95, 0.86), (2.25, 0.68), (2.25, 0.32)),
        'dbgrrgbbdd',
        (((-2.0, 1.06), (-1.82, 1.4), (-1.2, 1.42), (-1.2, 1.04)),
         ((-1.1, 1.04), (-1.1, 1.42), (-0.35, 1.42), (-0.35, 1.02)),
         ((-0.25, 1.02), (-0.25, 1.42), (0.18, 1.4), (0.76, 1.03))),
    ),
    'suv': (
        ((-2.2, 0.4), (-2.26, 0.95), (-2.2, 1.15), (-1.9, 1.68), (-0.6, 1.74), (0.3, 1.7),
         (0.95, 1.18), (1.85, 1.05), (2.15, 0.85), (2.15, 0.4)),
        'dbgrrgbbdd',
        (((-1.95, 1.2), (-1.78, 1.6), (-1.2, 1.64), (-1.2, 1.18)),
         ((-1.1, 1.18), (-1.1, 1.64), (-0.35, 1.64), (-0.35, 1.16)),
         ((-0.25, 1.16), (-0.25, 1.64), (0.25, 1.61), (0.78, 1.17))),
    ),
    'van': (
        ((-2.5, 0.38), (-2.52, 1.1), (-2.5, 1.2), (-2.42, 1.92), (0.2, 1.95), (1.1, 1.85),
         (1.75, 1.2), (2.35, 1.02), (2.5, 0.75), (2.5, 0.38)),
        'dbgrrgbbdd',
        (((0.5, 1.2), (0.5, 1.7), (1.02, 1.7), (1.45, 1.2)),
         ((-0.7, 1.2), (-0.7, 1.72), (0.35, 1.72), (0.35, 1.2)),
         ((-2.2, 1.2), (-2.2, 1.72), (-0.85, 1.72), (-0.85, 1.2))),
    ),
}
_STRIPS = {'d': 'dark', 'b': 'body', 't': 'body', 'g': 'glass', 'r': 'body'}
CAR_STYLES = tuple(_CARS)
BUS_STYLES = ('city', 'coach', 'double')
TRUCK_STYLES = ('box', 'tipper', 'semi')


def _narrowing(half: float, belt: float, lean: float) -> Callable[[float], float]:
    """Returns a half width that shrinks above the belt line by lean per metre."""
    return lambda h: half - lean * max(h - belt, 0.0)


@lru_cache(maxsize=16)
def car(style: str) -> Mesh:
    """Builds a car."""
    outline, strips, windows = _CARS[style]
    width = _narrowing(0.9, 0.95, 0.28)
    build = MeshBuilder()
    build.extrude(outline, width, edges=[_STRIPS[s] for s in strips[:-1]] + [''], side='body')
    lower = [(outline[0][0], 0.3), (outline[0][0], 0.42), (outline[-1][0], 0.42),
             (outline[-1][0], 0.3)]
    build.sides(lower, lambda h: 0.905, material='dark', solid=False)
    for window in windows:
        build.sides(window, lambda h: width(h) + 0.005, material='glass', solid=False)
    rear, belt = outline[1][0], outline[1][1]
    nose, top = outline[-2]
    build.end(rear, (belt - 0.02, belt + 0.16), (0.56, 0.84), 'tail')
    build.end(rear - 0.01, (0.5, 0.6), (0.0, 0.26), 'plate')
    build.end(nose + 0.01, (top - 0.14, top + 0.02), (0.5, 0.82), 'lamp')
    build.end(nose + 0.01, (top - 0.2, top - 0.06), (0.0, 0.4), 'dark')
    build.end(nose + 0.02, (0.4, 0.5), (0.0, 0.26), 'plate')
    length = nose - rear
    build.wheels((rear + 0.2 * length, nose - 0.19 * length), 0.32, 0.91)
    return build.build()


def _box(
    build: MeshBuilder,
    span: tuple[float, float],
    heights: tuple[float, float],
    half: float,
    *,
    sides: str,
    ends: tuple[str, str],
    roof: str = 'roof',
) -> None:
    (l0, l1), (h0, h1) = span, heights
    outline = ((l0, h0), (l0, h1), (l1, h1), (l1, h0))
    build.extrude(outline, lambda h: half, edges=(ends[0], roof, ends[1], ''), side=sides)


def _window_row(
    build: MeshBuilder, span: tuple[float, float], heights: tuple[float, float], half: float, *,
    count: int, material: str = 'glass', gap: float = 0.12,
) -> None:
    step = (span[1] - span[0]) / count
    for i in range(count):
        l0, l1 = span[0] + i * step + gap / 2, span[0] + (i + 1) * step - gap / 2
        pane = ((l0, heights[0]), (l0, heights[1]), (l1, heights[1]), (l1, heights[0]))
        build.sides(pane, lambda h: half + 0.01, material=material, solid=False)


@lru_cache(maxsize=8)
def bus(style: str) -> Mesh:
    """Builds a bus, 12 m long."""
    top = 4.2 if style == 'double' else 3.05 if style == 'city' else 3.4
    belt = 1.15 if style == 'city' else 1.5
    build = MeshBuilder()
    _box(build, (-6.0, 6.0), (0.32, top), 1.27, sides='body', ends=('body', 'body'))
    stripe = ((-6.0, 0.35), (-6.0, 0.75), (6.0, 0.75), (6.0, 0.35))
    build.sides(stripe, lambda h: 1.275, material='second', solid=False)
    _window_row(build, (-5.6, 5.7), (belt, min(top, 3.3) - 0.5), 1.27, count=7, material='lit')
    if style == 'double':
        _window_row(build, (-5.8, 5.9), (2.95, 3.85), 1.27, count=8, material='lit')
        build.end(6.02, (3.0, 3.85), (0.0, 1.12), 'glass').end(
            -6.02, (3.0, 3.85), (0.0, 1.0), 'glass')
    for l in (4.6, 0.2):
        door = ((l - 0.55, 0.38), (l - 0.55, 2.4), (l + 0.55, 2.4), (l + 0.55, 0.38))
        points = [(a, h, 1.285) for a, h in door]
        build.face(points, 'glass', normal=(0.0, 0.0, 1.0), solid=False)
    head = min(top, 3.1)
    build.end(6.02, (1.0, head - 0.45), (0.02, 1.15), 'glass')
    build.end(6.03, (head - 0.4, head - 0.12), (0.0, 0.85), 'board')
    build.end(6.03, (0.5, 0.72), (0.75, 1.1), 'lamp').end(6.03, (0.4, 0.55), (0.0, 0.3), 'plate')
    build.end(-6.02, (1.5, head - 0.5), (0.0, 1.0), 'glass')
    build.end(-6.03, (0.85, 1.2), (0.95, 1.2), 'tail').end(-6.03, (0.6, 0.75), (0.0, 0.3), 'plate')
    build.end(-6.03, (0.35, 0.55), (0.0, 1.2), 'dark')
    return build.wheels((-3.3, 3.4), 0.48, 1.29).build()


def _cab(build: MeshBuilder, rear: float, nose: float) -> None:
    outline = ((rear, 0.5), (rear, 2.75), (nose - 0.45, 2.8), (nose - 0.1, 1.75), (nose, 1.5),
               (nose, 0.42))
    edges = ('body', 'roof', 'glass', 'body', 'body', '')
    build.extrude(outline, lambda h: 1.2, edges=edges, side='body')
    pane = ((nose - 1.35, 1.6), (nose - 1.35, 2.4), (nose - 0.5, 2.4), (nose - 0.28, 1.6))
    build.sides(pane, lambda h: 1.21, material='glass', solid=False)
    build.end(nose + 0.01, (0.62, 0.82), (0.72, 1.1), 'lamp')
    build.end(nose + 0.01, (0.85, 1.4), (0.0, 0.85), 'dark')
    build.end(nose + 0.02, (0.45, 0.58), (0.0, 0.28), 'plate')


@lru_cache(maxsize=8)
def truck(style: str) -> tuple[Mesh, ...]:
    """Builds a truck as (cargo, cab)."""
    rear, nose, top = {'box': (-4.2, 4.0, 3.4), 'tipper': (-3.9, 3.8, 2.5),
                       'semi': (-7.5, 6.5, 3.9)}[style]
    cargo, cab = MeshBuilder(), MeshBuilder()
    split = nose - 1.95
    chassis = ((rear, 0.55), (rear, 0.95), (split, 0.95), (split, 0.55))
    cargo.extrude(chassis, lambda h: 1.05, edges=('dark', '', '', ''), side='dark')
    _box(cargo, (rear, split), (0.95, top), 1.26, sides='cargo', ends=('cargo', 'cargo'))
    if style == 'tipper':
        _window_row(cargo, (rear, split), (1.0, top - 0.08), 1.26, count=5, material='second',
                    gap=0.25)
    else:
        logo = ((rear + 1.0, 1.6), (rear + 1.0, 2.6), (split - 1.2, 2.6), (split - 1.2, 1.6))
        cargo.sides(logo, lambda h: 1.265, material='second', solid=False)
        cargo.end(rear - 0.01, (1.0, top - 0.1), (0.02, 0.06), 'dark')
    cargo.end(rear - 0.01, (0.6, 0.85), (0.85, 1.15), 'tail')
    cargo.end(rear - 0.01, (0.62, 0.78), (0.0, 0.3), 'plate')
    axles = (rear + 1.2, rear + 2.4) if style != 'box' else (rear + 1.5,)
    cargo.wheels(axles, 0.5, 1.22)
    _cab(cab, split + 0.1, nose)
    return cargo.build(), cab.wheels((nose - 1.1,), 0.5, 1.2).build()


@lru_cache(maxsize=2)
def tram() -> tuple[Mesh, ...]:
    """Builds a tram of three sections, from rear to front."""
    parts = []
    for rear, front in ((-13.5, -4.6), (-4.4, 4.4), (4.6, 13.5)):
        build = MeshBuilder()
        outline = [(rear, 0.3), (rear, 3.35), (front, 3.35), (front, 0.3)]
        if front > 13:
            outline[2:] = [(front - 0.9, 3.35), (front - 0.1, 1.5), (front, 0.3)]
        if rear < -13:
            outline[:2] = [(rear, 0.3), (rear + 0.1, 1.5), (rear + 0.9, 3.35)]
        edges = ['body'] * (len(outline) - 1) + ['']
        build.extrude(outline, lambda h: 1.2, edges=edges, side='body')
        skirt = ((rear + 0.1, 0.3), (rear + 0.1, 0.95), (front - 0.1, 0.95), (front - 0.1, 0.3))
        build.sides(skirt, lambda h: 1.205, material='second', solid=False)
        trim = 1.0
        _window_row(build, (rear + trim, front - trim), (1.35, 2.75), 1.2, count=4, material='lit')
        door = ((-0.7, 0.35), (-0.7, 2.8), (0.7, 2.8), (0.7, 0.35))
        middle = (rear + front) / 2
        build.sides([(l + middle, h) for l, h in door], lambda h: 1.22, material='glass',
                    solid=False)
        if front > 13:
            _tram_end(build, front)
        if rear < -13:
            _tram_end(build, rear)
        parts.append(build.build())
    return tuple(parts)


def _tram_end(build: MeshBuilder, l: float) -> None:
    way = 1.0 if l > 0 else -1.0
    inner = l - way * 0.72
    pane = [(l - way * 0.12, 1.55, -1.0), (l - way * 0.12, 1.55, 1.0), (inner, 2.85, 1.0),
            (inner, 2.85, -1.0)]
    build.face(pane, 'glass', normal=(way, 0.3, 0.0), solid=False)
    board = [(inner, 2.95, -0.7), (inner, 2.95, 0.7), (inner - way * 0.15, 3.25, 0.7),
             (inner - way * 0.15, 3.25, -0.7)]
    build.face(board, 'board', normal=(way, 0.3, 0.0), solid=False)
    build.end(l + way * 0.01, (0.75, 1.0), (0.7, 1.05), 'lamp' if way > 0 else 'tail')


@lru_cache(maxsize=2)
def motorcycle() -> Mesh:
    """Builds a motorcycle, 2.1 m long."""
    build = MeshBuilder().wheels((-0.7, 0.72), 0.32, 0.09)
    outline = ((-1.0, 0.72), (-0.95, 0.88), (-0.1, 0.84), (0.15, 1.02), (0.5, 0.98), (0.68, 0.7),
               (0.3, 0.28), (-0.35, 0.28))
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
