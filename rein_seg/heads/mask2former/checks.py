"""Checks of heads whose queries predict pairs of class and mask.

K classes.
"""

from __future__ import annotations

from typing import Any

from rein_seg.errors import UserError


def check_num_classes(head: str, number: int) -> None:
    """Checks K.

    Args:
        head: Name of the head, for the message.
        number: K.

    Raises:
        UserError: If it is not 2 to 254.

    Example:
        >>> from rein_seg.heads.mask2former.checks import check_num_classes
        >>> check_num_classes('EoMTHead', 1)
        Traceback (most recent call last):
        rein_seg.errors.UserError: EoMTHead: num_classes=1, expected 2 to 254 (labels are bytes): \
with one foreground class, give the background a class of its own
    """
    if not 2 <= number <= 254:
        raise UserError(
            f'{head}: num_classes={number}, expected 2 to 254 (labels are bytes): with one '
            'foreground class, give the background a class of its own'
        )


def check_given(head: str, given: Any, *, linked: bool) -> None:
    """Checks that queries of the method come where a head was built for them, and only there.

    Args:
        head: Name of the head, for the message.
        given: Queries of the method, or None.
        linked: Whether the head was built for them.

    Raises:
        UserError: If not.

    Example:
        >>> from rein_seg.heads.mask2former.checks import check_given
        >>> check_given('EoMTHead', None, linked=False)
    """
    if (given is not None) != linked:
        raise UserError(
            f'{head} was built {"for" if linked else "without"} queries of the method, but '
            f'{"none came" if given is None else "some came"}: let the segmentor fill query_dims'
        )
