"""A canvas that also notes which thing of the street each pixel shows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rein_seg.scenes.streets import labels
from rein_seg.scenes.streets.air import Air
from rein_seg.scenes.streets.camera import Camera
from rein_seg.scenes.streets.canvas import Canvas
from rein_seg.scenes.streets.items import Item
from rein_seg.scenes.streets.looks import Colour

_SHIFT = 5  # bits of a label
_MASK = (1 << _SHIFT) - 1
NOTHING = 0xFFFF  # the own car's hood, and pixels that no thing of the street fills


class OwnerCanvas(Canvas):
    """A `Canvas` whose labels also hold the number of the thing that is drawn.

    Set ``owner`` before a thing is drawn; 0 stands for ground, sky and skyline.

    Args:
        camera: As `Canvas`.
        air: As `Canvas`.
        rng: As `Canvas`.
    """

    def __init__(self, camera: Camera, air: Air, *, rng: np.random.Generator) -> None:
        super().__init__(camera, air, rng=rng)
        self.label = np.full((camera.height, camera.width), labels.SKY, np.uint16)
        self.owner = 0

    def draw_all(self, items: Iterable[Item]) -> None:
        """Draws things from far to near; thing i of the result of `things` has the number i + 1."""
        numbered = enumerate(items, start=1)
        for number, item in sorted(numbered, key=lambda pair: -pair[1].depth):
            self.owner = number
            item.draw(self)
        self.owner = 0

    def _code(self, label: int | None) -> int | None:
        return None if label is None else self.owner << _SHIFT | label

    def fill(self, pixels: np.ndarray, colour: Colour, label: int | None = None) -> None:
        """As `Canvas.fill`."""
        super().fill(pixels, colour, self._code(label))

    def fill_all(self, pixels: np.ndarray, colour: Colour, label: int | None = None) -> None:
        """As `Canvas.fill_all`."""
        super().fill_all(pixels, colour, self._code(label))

    def fill_label(self, pixels: np.ndarray, label: int) -> None:
        """As `Canvas.fill_label`."""
        super().fill_label(pixels, self.owner << _SHIFT | label)

    def limb(
        self, start: object, end: object, width: float, *, colour: Colour, label: int | None = None
    ) -> None:
        """As `Canvas.limb`."""
        super().limb(start, end, width, colour=colour, label=self._code(label))

    def disc(
        self, centre: object, radius: float, *, colour: Colour, label: int | None = None
    ) -> None:
        """As `Canvas.disc`."""
        super().disc(centre, radius, colour=colour, label=self._code(label))


def labels_of(codes: np.ndarray) -> np.ndarray:
    """Returns the train ids (H, W), uint8, of the codes of an `OwnerCanvas`.

    Example:
        >>> import numpy as np
        >>> from rein_seg.scenes.streets.owners import labels_of, split_code
        >>> labels_of(np.uint16([[3 << 5 | 13]])).tolist(), split_code(3 << 5 | 13)
        ([[13]], (3, 13))
    """
    return (codes & _MASK).astype(np.uint8)


def split_code(code: int) -> tuple[int, int]:
    """Returns owner and train id of a code."""
    return code >> _SHIFT, code & _MASK
