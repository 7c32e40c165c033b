"""A fixed table: an embedding for each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.text.contract import TextBranch
from rein_seg.text.names import Names


@MODELS.register_module()
class ClassTable(TextBranch):
    """Embeddings that do not change: normalised rows.

    Args:
        classes: As `TextBranch`.
        unseen: As `TextBranch`.
        names: As `TextBranch`.
        dims: D.
        init_seed: Seed of random rows, for tests.

    Example:
        >>> from rein_seg.text import ClassTable
        >>> ClassTable(['road', 'sky'], dims=4, init_seed=0)().shape
        torch.Size([2, 4])
    """

    table: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        names: Names | None = None,
        *,
        dims: int = 512,
        init_seed: int = 0,
    ) -> None:
        super().__init__(classes, unseen, names)
        self.dims, self.init_seed, self.source = dims, init_seed, f'random:seed={init_seed}'
        self.register_buffer('table', self._rows(), persistent=False)

    def _rows(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.init_seed)
        return F.normalize(torch.randn(len(self.classes), self.dims, generator=generator), dim=1)

    def set_classes(
        self, classes: Sequence[str], unseen: Sequence[str] = (), names: Names | None = None
    ) -> None:
        """Takes other classes; see `TextBranch.set_classes`."""
        self.name_classes(classes, unseen, names)
        self.table = self._rows().to(self.table)

    def forward(self) -> Tensor:
        """Returns the (K, D) rows."""
        return self.table
