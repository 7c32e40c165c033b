"""Checks of what a config gives a method."""

from __future__ import annotations

from torch import nn

from rein_seg.errors import UserError

ACTS: dict[str, type[nn.Module]] = {'relu': nn.ReLU, 'gelu': nn.GELU, 'none': nn.Identity}


def make_act(name: str, method: str) -> nn.Module:
    """Returns the activation ``name``.

    Raises:
        UserError: If there is none of this name.
    """
    if name == 'gelu_tanh':
        return nn.GELU(approximate='tanh')
    if name not in ACTS:
        raise UserError(f'{method} act={name!r}: expected {", ".join(sorted(ACTS))} or gelu_tanh')
    return ACTS[name]()


def check_at_least(method: str, least: int, **numbers: int) -> None:
    """Checks whole numbers from a config.

    Raises:
        UserError: If one is none, or is below ``least``.
    """
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UserError(f'{method} {name}={value!r}: expected a whole number, at least {least}')


def check_choice(method: str, *choices: str, **given: str) -> None:
    """Checks a word from a config.

    Raises:
        UserError: If it is not one of ``choices``.
    """
    for name, value in given.items():
        if value not in choices:
            raise UserError(f'{method} {name}={value!r}: expected {" or ".join(choices)}')


def check_rank(rank: int, method: str) -> None:
    """Checks that a rank is a whole number of at least 1.

    Raises:
        UserError: If it is not.
    """
    check_at_least(method, 1, rank=rank)
