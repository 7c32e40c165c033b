"""The arguments of `ATMHead`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rein_seg.errors import UserError

Setting = Literal['inductive', 'transductive']


def check_sizes(joint_dims: int, embed_dims: int | None, num_heads: int, use_proj: bool) -> int:
    """Checks the widths; returns the head's.

    Raises:
        UserError: If they do not fit.
    """
    width = embed_dims or joint_dims
    if width != joint_dims and not use_proj:
        raise UserError(
            f'ATMHead embed_dims={width}, but the joint embedding is {joint_dims} wide: leave '
            'embed_dims out, or set use_proj=True, which projects it'
        )
    if width % num_heads:
        raise UserError(
            f'ATMHead num_heads={num_heads} does not divide its width, {width}: choose a divisor'
        )
    return width


def check_unseen_label(
    label: int | None, setting: Setting, num_classes: int, ignore_index: int
) -> None:
    """Checks that the transductive setting, and it alone, can tell pixels of unseen classes.

    Raises:
        UserError: If not, or the label means something else, too.
    """
    if (label is not None) != (setting == 'transductive'):
        raise UserError(
            f'ATMHead setting={setting!r} with unseen_label={label}: expected a label of the '
            'pixels of unseen classes, such as 254, in the transductive setting, and None in the '
            'other'
        )
    if label is not None and (label == ignore_index or 0 <= label < num_classes):
        raise UserError(
            f'ATMHead unseen_label={label} is the ignored label or a class: expected another, '
            'such as 254'
        )


def check_classes(num_classes: int, unseen: Sequence[int], setting: Setting) -> None:
    """Checks the classes that training needs.

    Raises:
        UserError: If an unseen class is no class, none is seen, or, in the transductive setting,
            none is unseen.
    """
    wrong = [i for i in unseen if not 0 <= i < num_classes]
    if wrong:
        raise UserError(
            f'ATMHead unseen={list(unseen)}: {wrong[0]} is no class; expected indexes 0 to '
            f'{num_classes - 1}'
        )
    if len(set(unseen)) == num_classes:
        raise UserError(
            f'ATMHead: all {num_classes} classes are unseen, so nothing can be trained; leave some '
            'out of benchmark.unseen'
        )
    if setting == 'transductive' and not unseen:
        raise UserError(
            "ATMHead setting='transductive' labels pixels of unseen classes, and every class is "
            "seen: name some in benchmark.unseen, or take setting='inductive'"
        )
