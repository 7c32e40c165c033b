"""Grids of token sequences: how (B, N, C) lies in the image, where the pass shows it.

Tokens keep their places through linears, norms, sums and activations. Where they are made of a map,
or made into one, the map shows the grid: the whole map, or a window of a fixed size. Tokens in
another order, as in Hiera, have no grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rein_seg.encoders.traced.flow import ARRANGING, Flow
from rein_seg.encoders.traced.layouts import Layouts
from rein_seg.errors import UserError
from rein_seg.structures import RunState

Grid = tuple[int, int]
GridOf = Callable[[int, RunState], Grid]  # number of tokens, state -> (H, W)


@dataclass(frozen=True)
class MapGrid:
    """The grid of a whole map with a stride; the state's grid is the image's size in pixels.

    Example:
        >>> from rein_seg.encoders.traced.grids import MapGrid
        >>> from rein_seg.structures import RunState
        >>> MapGrid(8)(24, RunState(grid=(32, 48)))
        (4, 6)
    """

    stride: int

    def __call__(self, tokens: int, state: RunState) -> Grid:
        """Returns (H, W).

        Raises:
            UserError: If no such map of the image has this number of tokens.
        """
        height, width = state.grid
        for grid in (
            (-(-height // self.stride), -(-width // self.stride)),
            (height // self.stride, width // self.stride),
        ):
            if grid[0] * grid[1] == tokens:
                return grid
        raise UserError(
            f'{tokens} tokens of an image of {(height, width)} (height, width) are no map of '
            f'stride {self.stride}: use sides that are multiples of it'
        )


@dataclass(frozen=True)
class WindowGrid:
    """The grid of a window of a fixed size.

    Example:
        >>> from rein_seg.encoders.traced.grids import WindowGrid
        >>> from rein_seg.structures import RunState
        >>> WindowGrid((7, 7))(49, RunState())
        (7, 7)
    """

    grid: Grid

    def __call__(self, tokens: int, state: RunState) -> Grid:
        """Returns (H, W).

        Raises:
            UserError: If the sequence has another length.
        """
        if tokens != self.grid[0] * self.grid[1]:
            raise UserError(
                f'a window of {self.grid} has no {tokens} tokens: its grid is not known'
            )
        return self.grid


@dataclass(frozen=True)
class NoGrid:
    """Says that the grid of tokens is not known, when a method asks for it.

    Args:
        family: Name of the encoder.
    """

    family: str

    def __call__(self, tokens: int, state: RunState) -> Grid:
        """Raises a UserError."""
        raise UserError(
            f'the {self.family!r} encoder does not keep its {tokens} tokens in the order of the '
            'image, so a method cannot see them as a map: choose a method that works on single '
            'tokens, such as LoRA or Rein'
        )


class Grids:
    """Looks up the grid of each token sequence of a record."""

    def __init__(self, flow: Flow, layouts: Layouts, family: str) -> None:
        self.flow, self.layouts = flow, layouts
        self.unknown = NoGrid(family)
        self.same: dict[int, int] = {}
        self.found: dict[int, GridOf] = {}
        for op in flow.record.ops:
            for output in op.outputs:
                for value in flow.dependent(op):
                    self._connect(op.name, value, output)
        self.rules = {self._root(value): rule for value, rule in self.found.items()}

    def of(self, value: int) -> GridOf | None:
        """Returns the grid of a value; None for maps, which show it themselves."""
        if self.layouts.of(value) != 'NLC':
            return None
        return self.rules.get(self._root(value), self.unknown)

    def _connect(self, name: str, before: int, after: int) -> None:
        first, second = self._tokens(before), self._tokens(after)
        if first is not None and first == second:
            self.same[self._root(after)] = self._root(before)
        elif name in ARRANGING and first is not None and self.layouts.of(after) is not None:
            # in a square image any two factors could be the sides of a map
            square = len(set(self.flow.record.shape(self.flow.record.image)[2:])) == 1
            if not square or self.layouts.of(after) == 'NCHW':
                self._note(before, after, first, windows=False)
        elif name in ARRANGING and second is not None and self.layouts.of(before) is not None:
            self._note(after, before, second, windows=True)

    def _tokens(self, value: int) -> tuple[int, int] | None:
        """Returns (B, N) of a sequence, (B, N, C) or (B, C, N)."""
        shape, axis = self.flow.record.shape(value), self.layouts.axes.get(value)
        return (shape[0], shape[3 - axis]) if len(shape) == 3 and axis in (1, 2) else None

    def _note(self, tokens: int, map_: int, sequence: tuple[int, int], *, windows: bool) -> None:
        shape = self.flow.record.shape(map_)
        grid = (shape[2], shape[3]) if self.layouts.of(map_) == 'NCHW' else (shape[1], shape[2])
        rule = self._rule(grid, shape[0])
        if rule is None and windows:  # one window holds the whole map and its padding
            rule = WindowGrid(grid)
        known = isinstance(self.found.get(tokens), MapGrid)
        if (shape[0], grid[0] * grid[1]) == sequence and rule is not None and not known:
            self.found[tokens] = rule

    def _rule(self, grid: Grid, batch: int) -> GridOf | None:
        """Returns the rule of a map that holds whole images, or windows of them."""
        image = self.flow.record.shape(self.flow.record.image)
        if batch > image[0]:
            return WindowGrid(grid)
        stride = max(1, round(image[2] / grid[0]))
        whole = (
            tuple(-(-side // stride) for side in image[2:]),
            tuple(side // stride for side in image[2:]),
        )
        return MapGrid(stride) if grid in whole else None

    def _root(self, value: int) -> int:
        while value in self.same and self.same[value] != value:
            value = self.same[value]
        return value
