"""Small solid models: flat faces with a material, drawn with shading and hidden back faces.

Model axes, metres: `at` forward along the object, h up, w to its right; the origin is on the ground
under its middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.looks import Colour

Outline = Sequence[tuple[float, float]]
_SHINING = frozenset({'lamp', 'tail', 'lit'})
_SNOW = (244.0, 242.0, 240.0)
_DETAIL_PIXELS = 9.0


@dataclass(frozen=True)
class Face:
    """A material, a span of the model's points, and whether the face belongs to the outline."""

    material: str
    start: int
    stop: int
    solid: bool


@dataclass(frozen=True)
class Mesh:
    """Faces in drawing order.

    Args:
        points: Corners (V, 3) as (at, h, w).
        normals: Outward unit normals (F, 3) as (at, h, w).
        first: Index (F,) of each face's first corner.
        faces: The F faces.
    """

    points: np.ndarray
    normals: np.ndarray
    first: np.ndarray
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class Pose:
    """Place of a model: x, z in metres, heading in radians (0 drives away from the camera)."""

    x: float
    z: float
    heading: float = 0.0

    def place(self, points: np.ndarray) -> np.ndarray:
        """Moves points (..., 3) from (at, h, w) to (x, h, z)."""
        sin, cos = math.sin(self.heading), math.cos(self.heading)
        out = np.empty(points.shape)
        out[..., 0] = self.x + points[..., 0] * sin + points[..., 2] * cos
        out[..., 1] = points[..., 1]
        out[..., 2] = self.z + points[..., 0] * cos - points[..., 2] * sin
        return out

    def turn(self, vectors: np.ndarray) -> np.ndarray:
        """Rotates directions (..., 3) from (at, h, w) to (x, h, z)."""
        return Pose(0.0, 0.0, self.heading).place(vectors)


class MeshBuilder:
    """Collects faces of a model; later faces are painted over earlier ones."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float, float]] = []
        self._normals: list[tuple[float, float, float]] = []
        self._faces: list[Face] = []

    def face(
        self,
        points: Sequence[tuple[float, float, float]],
        material: str,
        *,
        normal: tuple[float, float, float],
        solid: bool = True,
    ) -> MeshBuilder:
        """Adds a face with an outward normal of any length."""
        norm = math.sqrt(sum(v * v for v in normal))
        start = len(self._points)
        self._points.extend(points)
        self._normals.append(tuple(v / norm for v in normal))
        self._faces.append(Face(material, start, len(self._points), solid))
        return self

    def extrude(
        self, outline: Outline, width: Callable[[float], float], *, edges: Sequence[str], side: str
    ) -> MeshBuilder:
        """Adds the solid of a side view.

        Args:
            outline: Corners (at, h), clockwise as seen with the front at the right.
            width: Half width at a height.
            edges: Material of the strip that starts at each corner; '' leaves it out.
            side: Material of both sides.
        """
        for i, material in enumerate(edges):
            (l0, h0), (l1, h1) = outline[i], outline[(i + 1) % len(outline)]
            w0, w1 = width(h0), width(h1)
            strip = [(l0, h0, -w0), (l0, h0, w0), (l1, h1, w1), (l1, h1, -w1)]
            if material:
                self.face(strip, material, normal=(h0 - h1, l1 - l0, 0.0))
        return self.sides(outline, width, material=side)

    def sides(
        self,
        outline: Outline,
        width: Callable[[float], float],
        *,
        material: str,
        solid: bool = True,
    ) -> MeshBuilder:
        """Adds a polygon (at, h) on both sides."""
        for sign in (-1.0, 1.0):
            points = [(a, h, sign * width(h)) for a, h in outline]
            self.face(points, material, normal=(0.0, 0.0, sign), solid=solid)
        return self

    def end(
        self, at: float, heights: tuple[float, float], span: tuple[float, float], material: str
    ) -> MeshBuilder:
        """Adds a detail on the front (at > 0) or back: heights h, span of w; both mirror sides."""
        (h0, h1), (w0, w1) = heights, span
        for sign in (-1.0, 1.0):
            points = [
                (at, h0, sign * w0),
                (at, h0, sign * w1),
                (at, h1, sign * w1),
                (at, h1, sign * w0),
            ]
            self.face(points, material, normal=(math.copysign(1.0, at), 0.0, 0.0), solid=False)
        return self

    def wheels(self, axles: Sequence[float], radius: float, half: float) -> MeshBuilder:
        """Adds wheels on both sides at the given at, half a width from the middle."""
        angles = np.linspace(0, 2 * math.pi, 11)[:-1]
        for at in axles:
            rim = [(at + radius * math.cos(a), radius + radius * math.sin(a)) for a in angles]
            # the hub lies on top of the tyre, a centimetre farther out
            hub = [(at + (x - at) * 0.55, radius + (h - radius) * 0.55) for x, h in rim]
            self.sides(rim, lambda h: half, material='tyre')
            self.sides(hub, lambda h: half + 0.01, material='hub', solid=False)
        # Only the outermost tyres show end-on; the others would show through the body.
        self._tread(min(axles), -1.0, radius, half)
        self._tread(max(axles), 1.0, radius, half)
        return self

    def _tread(self, at: float, way: float, radius: float, half: float) -> None:
        """Shows a tyre end-on: its lower half below a car's body, all of it on a narrow machine."""
        at += 0.6 * way * radius
        top = radius if half > 0.5 else 2 * radius
        for sign in (-1.0, 1.0):
            w0, w1 = sign * half, sign * max(half - 0.22, 0.0)
            points = [(at, 0.0, w0), (at, 0.0, w1), (at, top, w1), (at, top, w0)]
            self.face(points, 'tyre', normal=(way, 0.0, 0.0))

    def build(self) -> Mesh:
        """Packs the faces."""
        first = np.array([face.start for face in self._faces])
        normals = np.asarray(self._normals)
        return Mesh(np.asarray(self._points), normals, first, tuple(self._faces))


def draw_mesh(
    canvas: Canvas,
    mesh: Mesh,
    *,
    pose: Pose,
    size: tuple[float, float, float],
    paint: dict[str, Colour],
    label: int,
) -> None:
    """Draws the faces that look at the camera.

    Args:
        canvas: Canvas to draw on.
        mesh: The model.
        pose: Its place and heading.
        size: Factors on (at, h, w).
        paint: Colour of each material.
        label: Train id of the solid faces.
    """
    camera = canvas.camera
    corners = pose.place(mesh.points * size)
    normals = pose.turn(mesh.normals)
    # Faces whose outer side the camera sees; the bend shears the world, hence its extra term.
    x, h, z = corners[mesh.first].T
    seen = normals[:, 0] * (camera.x - x + camera.bend * z * z) + normals[:, 1] * (camera.eye - h)
    seen -= normals[:, 2] * z
    shades = canvas.air.facing(normals).tolist()
    pixels = camera.fixed(corners)
    detail = camera.scale(pose.z) * size[1] >= _DETAIL_PIXELS
    snow, lamps = canvas.air.snow, canvas.air.look.lamps
    for index in np.flatnonzero(seen > 0).tolist():
        face = mesh.faces[index]
        if not (face.solid or detail):  # windows and lamps of a far model are less than a pixel
            continue
        # cabins are lit at night only
        material = face.material if lamps or face.material != 'lit' else 'glass'
        colour = paint[material]
        if snow and mesh.normals[index, 1] > 0.75:  # snow lies on faces that look up
            share = min(1.0, 1.1 * snow)
            colour = tuple(c + (s - c) * share for c, s in zip(colour, _SNOW, strict=True))
        if lamps and material in _SHINING:
            colour = canvas.emit(colour, pose.z)
        else:
            colour = canvas.tone(colour, pose.z, shades[index])
        canvas.fill(pixels[face.start : face.stop], colour, label if face.solid else None)
