"""The baseline that adapts nothing."""

from __future__ import annotations

from rein_seg.peft.base import PEFTMethod
from rein_seg.registry import PEFT_METHODS


@PEFT_METHODS.register_module()
class Frozen(PEFTMethod):
    """Leaves the encoder as it is: only neck and head train."""

    def merge_into_weights(self) -> None:
        """Does nothing: there is nothing to merge."""
