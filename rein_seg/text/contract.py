"""The contract of a text branch: from the names of classes to their embeddings.

K classes, D width of the space that image and text share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.registry import registered_name
from rein_seg.text.names import Names, check_classes


class TextBranch(nn.Module, ABC):
    """Gives the embedding of each class; a `PEFTSegmentor` puts it into `Features.text`.

    Args:
        classes: Names, in the order of the indexes; the run fills in those of the data sets.
        unseen: Names of the classes that training never labels; the run fills in the benchmark's.
        names: Class -> words that stand for it in prompts, in place of its own name.

    Attributes:
        filled_in: Constructor arguments that the model fills in where the config leaves them out:
            ``dims`` (D of the encoder), ``tower`` (of the encoder's file), ``init_seed`` (of a
            random encoder).
        classes: As given.
        unseen: Indexes of the unseen classes.
        words: Of each class the words that stand for it; its name where ``names`` has none.
        dims: D.
        source: Fingerprint of the fixed weights: ``sha256:...`` of the tensors of the tower or the
            table as their file has them, or ``random:seed=...``. No number that depends on a
            machine's arithmetic.
        scale: Factor of cosines that the tower was trained with, None where no file says it.
        open_vocabulary: Whether `set_classes` works: no trained tensor belongs to a class.

    Raises:
        UserError: See `check_classes`.
    """

    filled_in: ClassVar[tuple[str, ...]] = ()
    classes: tuple[str, ...]
    unseen: tuple[int, ...]
    words: tuple[tuple[str, ...], ...]
    dims: int
    source: str
    scale: float | None = None
    open_vocabulary: bool = True
    __call__: Callable[..., Tensor]

    def __init__(
        self, classes: Sequence[str], unseen: Sequence[str] = (), names: Names | None = None
    ) -> None:
        super().__init__()
        self.name_classes(classes, unseen, names)

    def name_classes(
        self, classes: Sequence[str], unseen: Sequence[str] = (), names: Names | None = None
    ) -> None:
        """Sets names alone; `set_classes` also computes what depends on them."""
        check_classes(classes, unseen, names)
        own = {name: (w,) if isinstance(w, str) else tuple(w) for name, w in (names or {}).items()}
        self.classes = tuple(classes)
        self.unseen = tuple(i for i, name in enumerate(classes) if name in unseen)
        self.words = tuple(own.get(name, (name,)) for name in classes)

    def set_classes(
        self, classes: Sequence[str], unseen: Sequence[str] = (), names: Names | None = None
    ) -> None:
        """Takes other classes in place of its own; trained prompts stay as they are.

        Args:
            classes: Names.
            unseen: Names of the classes that training did not label.
            names: As for the constructor.

        Raises:
            UserError: If the names do not fit the tower, or there is no tower to read them; the
                branch is then as it was.
        """
        before = self.classes, self.unseen, self.words
        self.name_classes(classes, unseen, names)
        try:
            self.read_words()
        except UserError:
            self.classes, self.unseen, self.words = before
            raise

    @abstractmethod
    def read_words(self) -> None:
        """Makes whatever depends on the names; on an error nothing has changed."""

    @property
    def identity(self) -> dict[str, Any]:
        """Facts that an adapter must share with this branch: plain values, without the classes."""
        return {
            'type': registered_name(type(self)),
            'source': self.source,
            'dims': self.dims,
        }

    def fixed(self) -> Tensor | None:
        """Returns (K, D) embeddings of length 1 in fixed words, or None where all words learn."""
        return None

    @abstractmethod
    def forward(self) -> Tensor:
        """Returns the (K, D) embeddings; gradients reach prompts that learn."""
