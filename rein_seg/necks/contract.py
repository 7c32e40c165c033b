"""The contract of a neck that reads more than maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from rein_seg.structures import Features


class FeaturesNeck(ABC):
    """Turns `Features` into `Features`; other necks get and return maps alone.

    To write a neck, subclass `FeaturesNeck` and mmengine's ``BaseModule``, register the class in
    mmseg's ``MODELS`` and name in ``filled_in`` the facts that the constructor takes; see
    `rein_seg.heads.contract.HeadInputs`.

    Attributes:
        filled_in: Constructor arguments that the model fills in where the config leaves them out.
        out_channels: C of each map that it returns.
        out_strides: Pixels a step of each map that it returns.
        least_steps: Least height and width of the encoder's maps, in steps; smaller images are
            padded for predictions.
        open_vocabulary: Whether it takes embeddings of other classes than it was trained with: no
            tensor of it belongs to a class.
        makes_scores: Whether it fills in ``scores`` of `Features`.
    """

    filled_in: ClassVar[tuple[str, ...]] = ('in_channels',)
    out_channels: tuple[int, ...]
    out_strides: tuple[int, ...]
    least_steps: int = 1
    open_vocabulary: ClassVar[bool] = False
    makes_scores: ClassVar[bool] = False
    __call__: Callable[..., Features]

    @abstractmethod
    def forward(self, features: Features) -> Features:
        """Returns the features with other maps; see `Features` for its other fields."""
