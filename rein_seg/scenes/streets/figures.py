"""People who walk, stand or ride: a skeleton with a heading, drawn limb by limb."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rein_seg.scenes.drawing.draws import between, pick, side_of, weighted
from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix, scaled
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.items import Footprint
from rein_seg.scenes.streets.looks import Colour
from rein_seg.scenes.streets.mesh import Pose

_CLOTHES: tuple[Colour, ...] = (
    (40, 36, 36),
    (70, 52, 40),
    (110, 70, 40),
    (160, 160, 160),
    (220, 220, 222),
    (50, 46, 150),
    (60, 130, 190),
    (140, 90, 60),
    (60, 84, 60),
    (120, 60, 110),
    (70, 70, 74),
    (90, 150, 200),
)
_TROUSERS: tuple[Colour, ...] = (
    (44, 40, 38),
    (96, 66, 44),
    (120, 92, 70),
    (70, 66, 64),
    (110, 130, 150),
    (30, 30, 34),
)
_SKINS: tuple[Colour, ...] = ((150, 180, 220), (120, 150, 200), (70, 95, 140), (45, 62, 96))
_HAIRS: tuple[Colour, ...] = ((26, 24, 24), (40, 52, 80), (70, 110, 150), (120, 120, 120))

# Joints: feet, knees, hips, shoulders, elbows, hands as (left, right), then the head; (l, h, w).
_STANDING = (
    (0.0, 0.04, -0.1),
    (0.0, 0.04, 0.1),
    (0.02, 0.48, -0.1),
    (0.02, 0.48, 0.1),
    (0.0, 0.92, -0.09),
    (0.0, 0.92, 0.09),
    (0.0, 1.42, -0.19),
    (0.0, 1.42, 0.19),
    (-0.02, 1.12, -0.25),
    (-0.02, 1.12, 0.25),
    (0.06, 0.86, -0.26),
    (0.06, 0.86, 0.26),
    (0.02, 1.62, 0.0),
)
_RIDING = {
    labels.BICYCLE: (
        (0.05, 0.2, -0.12),
        (-0.05, 0.42, 0.12),
        (0.16, 0.62, -0.12),
        (0.22, 0.8, 0.12),
        (-0.2, 0.95, -0.12),
        (-0.2, 0.95, 0.12),
        (0.08, 1.42, -0.19),
        (0.08, 1.42, 0.19),
        (0.22, 1.16, -0.27),
        (0.22, 1.16, 0.27),
        (0.42, 1.02, -0.26),
        (0.42, 1.02, 0.26),
        (0.17, 1.64, 0.0),
    ),
    labels.MOTORCYCLE: (
        (0.0, 0.26, -0.22),
        (0.0, 0.26, 0.22),
        (0.26, 0.6, -0.25),
        (0.26, 0.6, 0.25),
        (-0.3, 0.86, -0.15),
        (-0.3, 0.86, 0.15),
        (-0.05, 1.36, -0.21),
        (-0.05, 1.36, 0.21),
        (0.12, 1.12, -0.31),
        (0.12, 1.12, 0.31),
        (0.4, 1.06, -0.3),
        (0.4, 1.06, 0.3),
        (0.06, 1.58, 0.0),
    ),
}


@dataclass(frozen=True)
class Person:
    """A person on foot or on a two-wheeler.

    Args:
        pose: Place and heading.
        joints: Skeleton (13, 3) as (l, h, w) in metres.
        top, bottom, skin, hair: Colours.
        label: Person or rider.
        extra: 'skirt', 'pack', 'umbrella', 'helmet' or ''.
    """

    pose: Pose
    joints: np.ndarray
    top: Colour
    bottom: Colour
    skin: Colour
    hair: Colour
    label: int = labels.PERSON
    extra: str = ''

    @property
    def depth(self) -> float:
        """Distance in metres."""
        return self.pose.z

    @property
    def shade(self) -> Footprint:
        """Shadow of a narrow prism."""
        return Footprint.round(
            self.pose.x, self.pose.z, radius=0.2, height=float(self.joints[12, 1]), base=0.0
        )

    def draw(self, canvas: Canvas) -> None:
        """Draws the farther arm, legs, trunk, the nearer arm and the head."""
        if not canvas.camera.sees(self.pose.x, self.pose.z, 0.7):
            return
        z, metre = self.pose.z, canvas.camera.scale(self.pose.z)
        world = self.pose.place(self.joints)
        pixels = canvas.camera.fixed(world)
        # the farther shoulder tells which limbs the trunk hides
        far, near = (0, 1) if world[6, 2] > world[7, 2] else (1, 0)
        top = canvas.tone(self.top, z)
        self._arm(canvas, pixels, side=far, colour=canvas.tone(self.top, z, 0.82))
        if self.extra == 'pack':
            back = canvas.camera.fixed(self.pose.place(np.array([-0.2, 1.22, 0.0])))
            canvas.disc(
                back,
                0.19 * metre,
                colour=canvas.tone(scaled(self.bottom, 0.8), z),
                label=self.label,
            )
        for side, shade in ((far, 0.85), (near, 1.0)):
            self._leg(canvas, pixels, side=side, colour=canvas.tone(self.bottom, z, shade))
        trunk = pixels[[4, 5, 7, 6]]
        canvas.fill(trunk, top, self.label)
        hip, neck = pixels[4:6].mean(axis=0), pixels[6:8].mean(axis=0)
        canvas.limb(hip, neck, 0.25 * metre, colour=top, label=self.label)
        if self.extra == 'skirt':
            canvas.limb(hip, pixels[2:4].mean(axis=0), 0.34 * metre, colour=top, label=self.label)
        self._arm(canvas, pixels, side=near, colour=canvas.tone(self.top, z, 0.92))
        self._head(canvas, pixels, metre)

    def _leg(self, canvas: Canvas, pixels: np.ndarray, *, side: int, colour: Colour) -> None:
        metre = canvas.camera.scale(self.pose.z)
        foot, knee, hip = pixels[side], pixels[2 + side], pixels[4 + side]
        canvas.limb(hip, knee, 0.17 * metre, colour=colour, label=self.label)
        canvas.limb(knee, foot, 0.12 * metre, colour=colour, label=self.label)

    def _arm(self, canvas: Canvas, pixels: np.ndarray, *, side: int, colour: Colour) -> None:
        width = 0.1 * canvas.camera.scale(self.pose.z)
        shoulder, elbow, hand = pixels[6 + side], pixels[8 + side], pixels[10 + side]
        canvas.limb(shoulder, elbow, width, colour=colour, label=self.label)
        canvas.limb(elbow, hand, 0.8 * width, colour=colour, label=self.label)

    def _head(self, canvas: Canvas, pixels: np.ndarray, metre: float) -> None:
        z, head = self.pose.z, pixels[12]
        canvas.disc(head, 0.125 * metre, colour=canvas.tone(self.skin, z), label=self.label)
        crown = head - np.array([0, int(0.045 * metre * 8)])
        size = 0.15 if self.extra == 'helmet' else 0.12
        canvas.disc(crown, size * metre, colour=canvas.tone(self.hair, z), label=self.label)
        if self.extra == 'umbrella':
            self._umbrella(canvas, z)

    def _umbrella(self, canvas: Canvas, z: float) -> None:
        angles = np.linspace(0.0, np.pi, 9)
        tops = np.stack([0.55 * np.cos(angles), 1.8 + 0.3 * np.sin(angles)], axis=1)
        points = [(self.pose.x + x, h, z) for x, h in tops]
        canvas.face(points, canvas.tone(mix(self.top, self.hair, 0.4), z), self.label)


def make_person(rng: np.random.Generator, pose: Pose, *, umbrella: bool = False) -> Person:
    """Makes a person on foot, who stands or walks with a random step."""
    joints = np.array(_STANDING)
    step = side_of(rng) * between(rng, 0.1, 0.32) if rng.random() < 0.8 else 0.0
    joints[0, 0] += step
    joints[1, 0] -= step
    joints[2:4, 0] += np.array([0.55, -0.45]) * step
    joints[8:12, 0] += np.array([-0.5, 0.5, -0.9, 0.9]) * step  # arms swing against the legs
    # every tenth is a child
    tall = between(rng, 0.6, 0.75) if rng.random() < 0.1 else between(rng, 0.92, 1.07)
    extras = ('', 'skirt', 'pack')
    extra = 'umbrella' if umbrella else extras[weighted(rng, (0.6, 0.18, 0.22))]
    return Person(pose, joints * tall, *_colours(rng), extra=extra)


def make_rider(rng: np.random.Generator, pose: Pose, *, mount: int) -> Person:
    """Makes the rider of a bicycle or motorcycle (its train id)."""
    top, bottom, skin, hair = _colours(rng)
    helmet = mount == labels.MOTORCYCLE or rng.random() < 0.6
    if helmet:
        hair = pick(rng, _CLOTHES)
    return Person(
        pose,
        np.array(_RIDING[mount]),
        top,
        bottom,
        skin,
        hair,
        label=labels.RIDER,
        extra='helmet' if helmet else '',
    )


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour, Colour, Colour]:
    return (
        scaled(pick(rng, _CLOTHES), between(rng, 0.85, 1.1)),
        pick(rng, _TROUSERS),
        pick(rng, _SKINS),
        pick(rng, _HAIRS),
    )
