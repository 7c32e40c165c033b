"""Houses: a box with two walls in view and a flat or pitched roof."""

from __future__ import annotations

from dataclasses import dataclass

from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import mix
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.facades import SNOW, STOREY, Facade, Plan, Wall, plan_of
from rein_seg.scenes.streets.items import Footprint


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
        joined: Whether it adjoins a nearer house; such a wall has no windows.
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
    joined: bool = False

    @property
    def height(self) -> float:
        """Height of the eaves in metres."""
        return self.storeys * STOREY + 0.7

    @property
    def depth(self) -> float:
        """Distance of the far end, so that things before the wall are painted later."""
        return self.start + self.length

    @property
    def shade(self) -> Footprint:
        """Shadow of the box."""
        inner, outer = self.front, self.front + self.side * self.deep
        far = self.start + self.length
        ground = ((inner, self.start), (outer, self.start), (outer, far), (inner, far))
        return Footprint(ground, self.height)

    def draw(self, canvas: Canvas) -> None:
        """Draws roof, the wall that faces the camera, the wall along the street."""
        if not self._in_view(canvas):
            return
        plan = plan_of(self.style % 512)
        foot, side = (self.front, self.start), float(self.side)
        snowy = canvas.air.snow > 0 and not self.pitched  # pitched roofs show their snow themselves
        if self.pitched:
            self._roof(canvas, plan)
        size = {'storeys': self.storeys, 'height': self.height}
        end = Wall(foot, (side, 0.0), length=self.deep, normal=(0.0, -1.0))
        street = Wall(foot, (0.0, 1.0), length=self.length, normal=(-side, 0.0))
        Facade(canvas, end, plan, shops=False, **size).paint(pierced=not self.joined, snowy=snowy)
        Facade(canvas, street, plan, shops=self.shops, **size).paint(pierced=True, snowy=snowy)

    def _in_view(self, canvas: Canvas) -> bool:
        """Tells whether the far inner edge, the one nearest the picture's middle, is in view."""
        column = canvas.camera.column(self.front, self.depth)
        return column > -8 if self.side < 0 else column < canvas.camera.width + 8

    def _roof(self, canvas: Canvas, plan: Plan) -> None:
        rise = min(0.32 * self.deep, 4.0)  # metres from the eaves to the ridge
        inner, ridge = self.front, self.front + self.side * self.deep / 2
        outer, far, top = self.front + self.side * self.deep, self.start + self.length, self.height
        gable = [
            (inner, top, self.start),
            (ridge, top + rise, self.start),
            (outer, top, self.start),
        ]
        canvas.face(
            gable, canvas.tone(plan.wall, self.start, canvas.air.face(0, 0, -1)), labels.BUILDING
        )
        eave = inner - self.side * 0.4
        slope = [
            (eave, top - 0.15, self.start - 0.3),
            (eave, top - 0.15, far + 0.3),
            (ridge, top + rise, far + 0.3),
            (ridge, top + rise, self.start - 0.3),
        ]
        colour = plan.roof
        if canvas.air.snow:
            colour = mix(colour, SNOW, min(1.0, 0.4 + 0.6 * canvas.air.snow))
        shade = canvas.air.face(-0.6 * self.side, 0.8, 0.0)
        canvas.face(slope, canvas.tone(colour, self.start, shade), labels.BUILDING)
