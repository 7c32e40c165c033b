"""Boundaries between stages, for methods that act there."""

from __future__ import annotations

from itertools import accumulate

from rein_seg.structures import Anatomy


def stage_starts(anatomy: Anatomy, num_stages: int) -> list[int]:
    """Returns the first block of each stage.

    Args:
        anatomy: The encoder's anatomy.
        num_stages: Number of even groups of blocks for a plain encoder, which has a single stage;
            at most its number of blocks. Staged encoders keep their own stages.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.peft.parts.stages import stage_starts
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> stage_starts(find_anatomy(encoder), num_stages=4)
        [0, 2, 4, 6]
    """
    depths = anatomy.stage_depths
    if len(depths) > 1:
        return [0, *accumulate(depths[:-1])]
    count = min(num_stages, depths[0])
    return [group * depths[0] // count for group in range(count)]
