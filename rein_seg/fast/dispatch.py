"""Puts fast forms in the place of plain ones: a decorator at the plain form, and a switch by name.

All forms are on where they apply. The environment variable ``REIN_SEG_FAST`` takes ``0``, which
leaves all out, or names to leave out: ``REIN_SEG_FAST=-winograd,-short_softmax``. `without` does so
for a while.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rein_seg.errors import UserError, near_misses
from rein_seg.fast.onednn_matmul import use_onednn
from rein_seg.fast.switches import FORMS, PROCESS, SWITCHES

VARIABLE = 'REIN_SEG_FAST'
_ONEDNN = 'onednn_matmul'
_OLD_VARIABLE = 'REIN_SEG_PRODUCTS'  # of version 0.1; another way to say -onednn_matmul or +...
_OLD_WORDS = {'': '', 'pytorch': f'-{_ONEDNN}', 'onednn': f'+{_ONEDNN}'}


def has_fast_form(*names: str) -> Callable[[Callable], Callable]:
    """Marks a plain function or method: the first named form that is on and applies replaces it.

    The plain function stays at hand as the attribute ``plain``.

    Args:
        names: Of `FORMS`.

    Example:
        >>> import torch
        >>> from rein_seg.fast.dispatch import without
        >>> from rein_seg.heads.mask2former.deform_attn import softmax
        >>> x = torch.randn(3, 12)
        >>> with without('short_softmax'):
        ...     plain = softmax(x)
        >>> torch.allclose(softmax(x), plain)
        True
    """

    def decorate(plain: Callable) -> Callable:
        place = f'{plain.__module__}.{plain.__qualname__}'
        forms = tuple((FORMS[name], FORMS[name].forms[place]) for name in names)

        @functools.wraps(plain)
        def choose(*args: Any, **kwargs: Any) -> Any:
            for switch, form in forms:
                if switch.on and switch.applies(*args, **kwargs):
                    given = (plain, *args) if switch.takes_plain else args
                    return form(*given, **kwargs)
            return plain(*args, **kwargs)

        choose.plain = plain  # type: ignore[attr-defined]
        return choose

    return decorate


@contextlib.contextmanager
def without(*names: str) -> Iterator[None]:
    """Leaves fast forms and settings of the process out for a while; without names, all of them.

    Raises:
        UserError: If there is no form of such a name.

    Example:
        >>> from rein_seg.fast.dispatch import without
        >>> from rein_seg.fast.switches import SWITCHES
        >>> with without('winograd'):
        ...     SWITCHES['winograd'].on
        False
    """
    with contextlib.ExitStack() as stack:
        check_names(names)
        for name in names or SWITCHES:
            stack.enter_context(SWITCHES[name].left_out())
        yield


def use_in_process() -> None:
    """Switches on the settings of the whole process, where they pay and are not left out.

    The command-line tools call it; in a program it is the caller's choice.

    Raises:
        UserError: If ``onednn_matmul`` is asked for and this PyTorch lacks it.
    """
    signs = read_environment(os.environ)
    for switch in PROCESS:
        if switch.name == _ONEDNN and signs.get(_ONEDNN) == '+':
            use_onednn(always=True)
        elif signs.get(switch.name) != '-':
            switch.use()


def announcement() -> str:
    """Returns a line that names the forms and settings that are on.

    Example:
        >>> from rein_seg.fast.dispatch import announcement, without
        >>> with without('winograd'):
        ...     'winograd' in announcement()
        False
    """
    names = [name for name, switch in SWITCHES.items() if switch.on]
    return f'fast forms: {", ".join(names)}; off with {VARIABLE}=0' if names else 'fast forms: none'


def read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the sign of each form that the variable names: ``-`` left out, ``+`` asked for.

    ``+`` is for ``onednn_matmul``, which else stays off where it was not seen to pay.

    Raises:
        UserError: If a value is not as above.

    Example:
        >>> from rein_seg.fast.dispatch import read_environment
        >>> read_environment({'REIN_SEG_FAST': '-winograd'})
        {'winograd': '-'}
        >>> len(read_environment({'REIN_SEG_FAST': '0'})) > 10
        True
    """
    old = environment.get(_OLD_VARIABLE, '')
    if old not in _OLD_WORDS:
        raise UserError(f'{_OLD_VARIABLE}={old!r}: expected pytorch or onednn')
    said = environment.get(VARIABLE, '')
    if said == '0':
        return dict.fromkeys(SWITCHES, '-')
    words = [] if said in ('', '1') else said.split(',')
    signs = {}
    for word in filter(None, (_OLD_WORDS[old], *words)):
        sign, name = word[0], word[1:]
        if sign not in '+-':
            raise UserError(
                f'{VARIABLE}={said!r}: expected 0, or names to leave out with a minus, such as '
                f'-winograd,-short_softmax'
            )
        if sign == '+' and name != _ONEDNN:
            raise UserError(
                f'{VARIABLE}={said!r}: {word} has no effect, since all forms but {_ONEDNN} are on '
                'wherever they apply: remove it'
            )
        check_names([name])
        signs[name] = sign
    return signs


def check_names(names: Iterable[str]) -> None:
    """Checks names of `SWITCHES`.

    Raises:
        UserError: If there is no form of such a name.
    """
    for name in names:
        if name not in SWITCHES:
            raise UserError(f'fast form {name!r}: {near_misses(name, SWITCHES)}')


def _leave_out(signs: Mapping[str, str]) -> None:
    for name in signs.keys() & FORMS.keys():
        FORMS[name].on = False


_leave_out(read_environment(os.environ))
