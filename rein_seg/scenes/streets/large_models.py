"""Solid models of large vehicles: buses, trucks and trams."""

from __future__ import annotations

from functools import lru_cache

from rein_seg.scenes.streets.mesh import Mesh, MeshBuilder

BUS_STYLES = ('city', 'coach', 'double')
TRUCK_STYLES = ('box', 'tipper', 'semi')


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
    build: MeshBuilder,
    span: tuple[float, float],
    heights: tuple[float, float],
    half: float,
    *,
    count: int,
    material: str = 'glass',
    gap: float = 0.12,
) -> None:
    step = (span[1] - span[0]) / count
    for i in range(count):
        l0, l1 = span[0] + i * step + gap / 2, span[0] + (i + 1) * step - gap / 2
        pane = ((l0, heights[0]), (l0, heights[1]), (l1, heights[1]), (l1, heights[0]))
        # a centimetre in front of the wall, which it must hide
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
            -6.02, (3.0, 3.85), (0.0, 1.0), 'glass'
        )
    for at in (4.6, 0.2):
        door = ((at - 0.55, 0.38), (at - 0.55, 2.4), (at + 0.55, 2.4), (at + 0.55, 0.38))
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
    outline = (
        (rear, 0.5),
        (rear, 2.75),
        (nose - 0.45, 2.8),
        (nose - 0.1, 1.75),
        (nose, 1.5),
        (nose, 0.42),
    )
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
    rear, nose, top = {
        'box': (-4.2, 4.0, 3.4),
        'tipper': (-3.9, 3.8, 2.5),
        'semi': (-7.5, 6.5, 3.9),
    }[style]
    # two models: the farther is drawn first, whichever way the truck drives
    cargo, cab = MeshBuilder(), MeshBuilder()
    split = nose - 1.95
    chassis = ((rear, 0.55), (rear, 0.95), (split, 0.95), (split, 0.55))
    cargo.extrude(chassis, lambda h: 1.05, edges=('dark', '', '', ''), side='dark')
    _box(cargo, (rear, split), (0.95, top), 1.26, sides='cargo', ends=('cargo', 'cargo'))
    if style == 'tipper':
        _window_row(
            cargo, (rear, split), (1.0, top - 0.08), 1.26, count=5, material='second', gap=0.25
        )
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
        build.sides(
            [(at + middle, h) for at, h in door], lambda h: 1.22, material='glass', solid=False
        )
        if front > 13:
            _tram_end(build, front)
        if rear < -13:
            _tram_end(build, rear)
        parts.append(build.build())
    return tuple(parts)


def _tram_end(build: MeshBuilder, at: float) -> None:
    way = 1.0 if at > 0 else -1.0
    inner = at - way * 0.72
    pane = [
        (at - way * 0.12, 1.55, -1.0),
        (at - way * 0.12, 1.55, 1.0),
        (inner, 2.85, 1.0),
        (inner, 2.85, -1.0),
    ]
    build.face(pane, 'glass', normal=(way, 0.3, 0.0), solid=False)
    board = [
        (inner, 2.95, -0.7),
        (inner, 2.95, 0.7),
        (inner - way * 0.15, 3.25, 0.7),
        (inner - way * 0.15, 3.25, -0.7),
    ]
    build.face(board, 'board', normal=(way, 0.3, 0.0), solid=False)
    build.end(at + way * 0.01, (0.75, 1.0), (0.7, 1.05), 'lamp' if way > 0 else 'tail')
