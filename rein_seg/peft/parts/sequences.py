"""The token sequences of an encoder, for methods that insert tokens."""

from __future__ import annotations

from rein_seg.errors import UserError
from rein_seg.structures import Anatomy, SeqSite


def sequences(anatomy: Anatomy, method: str) -> list[SeqSite]:
    """Returns the sequence of each block, in forward order.

    Args:
        anatomy: Of the encoder.
        method: Name of the method that asks, for the message.

    Raises:
        UserError: If the encoder has none.

    Example:
        >>> from rein_seg.encoders import build_encoder, find_anatomy
        >>> from rein_seg.peft.parts.sequences import sequences
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> len(sequences(find_anatomy(encoder), 'VPT'))
        8
    """
    sites = [site for site in anatomy.sites if isinstance(site, SeqSite)]
    if not sites:
        raise UserError(
            f'{method} inserts tokens, and the {anatomy.family!r} encoder has no place for them '
            '(maps of convolutions, or windows cut before the attention); choose another method, '
            'or a plain transformer'
        )
    return sites
