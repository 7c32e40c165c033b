"""A fixed table: an embedding for each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.text.contract import TextBranch


@MODELS.register_module()
class ClassTable(TextBranch):
    """Embeddings that do not change: normalised rows.

    Args:
        classes: As `TextBranch`.
        unseen: As `TextBranch`.
        dims: D.
        init_seed: Seed of random rows, for tests.

    Example:
        >>> from rein_seg.text import ClassTable
        >>> ClassTable(['road', 'sky'], dims=4, init_seed=0)().shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] = (),
        *,
        dims: int = 512,
        init_seed: int = 0,
    ) -> None:
        super().__init__(classes, unseen)
        self.dims = dims
        generator = torch.Generator().manual_seed(init_seed)
        rows = torch.randn(len(self.classes), dims, generator=generator)
        self.register_buffer('table', F.normalize(rows, dim=1), persistent=False)

    def forward(self) -> Tensor:
        """Returns the (K, D) rows."""
        return self.table
