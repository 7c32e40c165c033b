"""The baseline that adapts nothing."""

from __future__ import annotations

from rein_seg.peft.base import PEFTMethod
from rein_seg.registry import PEFT_METHODS


@PEFT_METHODS.register_module()
class Frozen(PEFTMethod):
    """Leaves the encoder unchanged: only neck and head train.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='Frozen'))
        >>> sum(p.requires_grad for p in backbone.parameters())
        0
    """

    def merge_into_weights(self) -> None:
        """Does nothing: the method adds nothing."""
