"""The skeleton of methods that put one layer on each chosen linear or convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rein_seg.errors import UserError
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.choose import Rows, find_targets, module_key, part_names
from rein_seg.structures import Anatomy, OpSite

ALL_PARTS = ('q', 'k', 'v', 'proj', 'fc1', 'fc2', 'conv1', 'conv2', 'conv3')


class OperationMethod(PEFTMethod):
    """Makes a layer for each operation that holds a chosen part, hooks it, folds it.

    Subclasses implement `make_layer`. A layer is a module with ``forward(x, y, context)``, which
    returns the new output of an operation that made y of x, and ``fold(op)``.

    Args:
        parts: Operations by role (proj, fc1, fc2, dw, patch, ...) or by the name of one part of a
            fused operation (q, k, v; gate, value); None takes the default.
        blocks: Block indexes; None takes all, negative ones count from the end.

    Attributes:
        default_parts: Groups of names; by default those of the first group that the encoder has
            any of are taken.
    """

    default_parts: tuple[tuple[str, ...], ...] = (ALL_PARTS,)

    def __init__(self, parts: Sequence[str] | None, blocks: Sequence[int] | None) -> None:
        super().__init__()
        self.parts = tuple(parts) if parts is not None else None
        self.blocks = tuple(blocks) if blocks is not None else None
        self.layers = nn.ModuleDict()

    def make_layer(self, site: OpSite, rows: Rows) -> nn.Module:
        """Returns the layer for these rows of the site's weight."""
        raise NotImplementedError

    def build(self, anatomy: Anatomy) -> None:
        """Makes the layers."""
        for site, rows in self.targets(anatomy):
            self.layers[module_key(site)] = self.make_layer(site, rows)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks each layer to its operation."""
        for site, _ in self.targets(anatomy):
            self.hook(site, self.layers[module_key(site)])

    @torch.no_grad()
    def fold(self) -> None:
        """Folds each layer into the weight, and bias, of its operation."""
        assert self._anatomy is not None
        for site, _ in self.targets(self._anatomy):
            layer: Any = self.layers[module_key(site)]
            layer.fold(site.module)

    def chosen_blocks(self, anatomy: Anatomy) -> Sequence[int] | None:
        """Returns the blocks to take operations from; None takes all, and what lies outside."""
        return self.blocks

    def targets(self, anatomy: Anatomy) -> list[tuple[OpSite, Rows]]:
        """Returns each operation that holds a chosen part, with the rows of its weight."""
        blocks, wanted = self.chosen_blocks(anatomy), self.parts
        if wanted is None:
            known = part_names(anatomy, blocks=blocks)
            present = (tuple(p for p in group if p in known) for group in self.default_parts)
            wanted = next((group for group in present if group), self.default_parts[0])
        return find_targets(anatomy, type(self).__name__, parts=wanted, blocks=blocks)


def check_dense(site: OpSite, method: str) -> None:
    """Checks that an operation is no grouped convolution.

    Raises:
        UserError: If it is.
    """
    if isinstance(site.module, nn.Conv2d) and site.module.groups > 1:
        raise UserError(
            f'{method} cannot update the grouped convolution {site.name!r} '
            f'(groups={site.module.groups}): leave role {site.role!r} out of parts'
        )


def check_rank(rank: int, method: str) -> None:
    """Checks that a rank is a whole number of at least 1.

    Raises:
        UserError: If it is not.
    """
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise UserError(
            f'{method} rank={rank!r}: expected a whole number, at least 1 (Frozen trains no '
            'adapter)'
        )
