"""Heads that propose masks for a second stage."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from rein_seg.structures import Features


@runtime_checkable
class ProposalHead(Protocol):
    """A head of Q queries, each with a class and a mask.

    Example:
        >>> from rein_seg.heads import LinearHead
        >>> from rein_seg.heads.proposals import ProposalHead
        >>> issubclass(LinearHead, ProposalHead)
        False
    """

    def propose(self, features: Features, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Returns class logits (B, Q, K+1), "no object" last, and mask logits (B, Q, H, W).

        Args:
            features: Of a batch.
            size: (H, W) of the masks in pixels.
        """
