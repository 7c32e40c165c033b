"""Where stages begin: what methods between stages share."""

from __future__ import annotations

from itertools import accumulate

from rein_seg.structures import Anatomy


def stage_starts(anatomy: Anatomy, num_stages: int) -> list[int]:
    """Returns the first block of each stage.

    Args:
        anatomy: The encoder's anatomy.
        num_stages: How many even groups of blocks a plain encoder, which has one stage, is cut
            into, if it has as many blocks; staged encoders keep their own.
    """
    depths = anatomy.stage_depths
    if len(depths) > 1:
        return [0, *accumulate(depths[:-1])]
    count = min(num_stages, depths[0])
    return [group * depths[0] // count for group in range(count)]
