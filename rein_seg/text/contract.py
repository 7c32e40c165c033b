"""The contract of a text branch: from the names of classes to their embeddings.

K classes, D width of the space that image and text share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from rein_seg.errors import UserError, near_misses


class TextBranch(nn.Module, ABC):
    """Gives the embedding of each class; a `PEFTSegmentor` puts it into `Features.text`.

    Args:
        classes: Names, in the order of the indexes; the run fills in those of the data sets.
        unseen: Names of the classes that training never labels; the run fills in the benchmark's.

    Attributes:
        classes: As given.
        unseen: Indexes of the unseen classes.
        dims: D.

    Raises:
        UserError: If an unseen class is no class.
    """

    dims: int
    __call__: Callable[..., Tensor]

    def __init__(self, classes: Sequence[str], unseen: Sequence[str] = ()) -> None:
        super().__init__()
        self.classes = tuple(classes)
        for name in unseen:
            if name not in self.classes:
                raise UserError(
                    f'text.unseen names {name!r}, which is no class; '
                    f'{near_misses(name, self.classes)}'
                )
        self.unseen = tuple(i for i, name in enumerate(self.classes) if name in unseen)

    @abstractmethod
    def forward(self) -> Tensor:
        """Returns the (K, D) embeddings; gradients reach prompts that learn."""
