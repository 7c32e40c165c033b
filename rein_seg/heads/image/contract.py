"""The contract of a head for whole images: its arguments, its inputs, its results.

B batch, K classes, D width of an embedding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from torch import Tensor

from rein_seg.structures import Features


class ImageHead(ABC):
    """Turns `Features` into losses and predictions of whole images.

    To write a head, subclass `ImageHead` and mmengine's ``BaseModule``, register the class in
    mmseg's ``MODELS``, name in ``filled_in`` the facts that the constructor takes, set the
    attributes below, and implement `forward`, `loss` and `predict`. A config can then name it:
    ``head=dict(type='MyHead')`` of a `PEFTImageModel`.

    Attributes:
        filled_in: Constructor arguments that the model fills in where the config leaves them out:
            keys of `rein_seg.heads.contract.HeadInputs.arguments`.
        optional: Those of ``filled_in`` that the head reads where they are there. A head that lists
            ``joint_dims`` or ``text_dims`` and not here needs an encoder with a joint space, or a
            text branch.
        output: ``logits``: `predict` returns (B, K) logits. ``embedding``: it returns (B, D)
            embeddings, which are compared by cosine.
        num_classes: K of the training.
        reads_first: Whether it reads ``first`` of `Features`, of a method that looks first.
        open_vocabulary: Whether `set_classes` works: no tensor of the head belongs to a class.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image import LinearImageHead
        >>> from rein_seg.structures import Features
        >>> head = LinearImageHead([8], num_classes=3)
        >>> head.predict(Features(maps=(torch.zeros(2, 8, 4, 4),))).shape
        torch.Size([2, 3])
    """

    filled_in: ClassVar[tuple[str, ...]] = ('in_channels', 'in_index', 'num_classes')
    optional: ClassVar[tuple[str, ...]] = ()
    output: Literal['logits', 'embedding'] = 'logits'
    num_classes: int
    reads_first: ClassVar[bool] = False
    open_vocabulary = False
    __call__: Callable[..., Any]

    def set_classes(self, num_classes: int) -> None:
        """Takes another number of classes, of a head with ``open_vocabulary``."""
        self.num_classes = num_classes

    @abstractmethod
    def forward(self, features: Features) -> Any:
        """Returns the head's own result, of any type."""

    @abstractmethod
    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns named scalars; those with ``loss`` in their names are trained on.

        Args:
            features: Of a batch.
            labels: (B,) int64 class indexes.
        """

    @abstractmethod
    def predict(self, features: Features) -> Tensor:
        """Returns (B, K) logits or (B, D) embeddings, as ``output`` says."""
