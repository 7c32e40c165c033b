"""Which frames are shown: named, or by a rule that the picture states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rein_seg.errors import UserError, near_misses

_ENDS = {1: ('median',), 2: ('lowest', 'highest'), 3: ('lowest', 'median', 'highest')}

Scores = Mapping[str, float | None]  # frame -> mIoU in %, None without a labelled pixel


@dataclass(frozen=True)
class Choice:
    """The chosen frames.

    Attributes:
        frames: Name of a frame -> why it is shown; '' if it was named.
        rule: How they were chosen, in words.
    """

    frames: dict[str, str]
    rule: str


def named_frames(names: Sequence[str], known: Sequence[str]) -> Choice:
    """Takes frames by name, also with the end of a file name.

    Raises:
        UserError: If a name is not known or comes twice.

    Example:
        >>> from rein_seg.compare.frames.choice import named_frames
        >>> named_frames(['b.png'], ['a', 'b']).frames
        {'b': ''}
    """
    chosen = {}
    for given in names:
        name = given if given in known else given.rpartition('.')[0]
        if name not in known:
            raise UserError(f'--frames {given!r} is no frame of the domain; {_near(given, known)}')
        if name in chosen:
            raise UserError(f'--frames {given!r} comes twice: give each frame once')
        chosen[name] = ''
    return Choice(chosen, 'frames named on the command line')


def _near(given: str, known: Sequence[str]) -> str:
    return near_misses(given, known, otherwise=f'it has {len(known)}, such as {known[0]!r}')


def choose_frames(scores: Mapping[str, Scores], number: int) -> Choice:
    """Chooses frames at evenly spread ranks of a difference: the lowest, the median, the highest.

    The difference is the frame's mIoU of the last run minus the first run's; of a single run it is
    the mIoU. Equal differences are ordered by name.

    Args:
        scores: Run -> its scores, in the order of the runs.
        number: Frames to choose; all if there are fewer.

    Raises:
        UserError: If no frame has a labelled pixel.

    Example:
        >>> from rein_seg.compare.frames.choice import choose_frames
        >>> frozen, lora = dict(a=40.0, b=50.0, c=30.0), dict(a=41.0, b=48.0, c=45.0)
        >>> choose_frames({'Frozen': frozen, 'LoRA': lora}, 3).frames
        {'b': 'lowest, -2.0', 'a': 'median, +1.0', 'c': 'highest, +15.0'}
    """
    runs = list(scores)
    first, last = scores[runs[0]], scores[runs[-1]]
    single = len(runs) == 1
    values = {
        name: score - (0.0 if single else first[name] or 0.0)
        for name, score in last.items()
        if score is not None
    }
    if not values:
        raise UserError(
            'no frame of the domain has a labelled pixel: expected labels of the benchmark; '
            'rein-seg check-data says how labels are read'
        )
    order = sorted(values, key=lambda name: (values[name], name))
    number = min(number, len(order))
    places = (
        [(len(order) - 1) // 2]
        if number == 1
        else np.linspace(0, len(order) - 1, number).round().astype(int).tolist()
    )
    words = _ENDS.get(number) or tuple(f'rank {place + 1} of {len(order)}' for place in places)
    chosen = {}
    for place, word in zip(places, words, strict=True):
        value = values[order[place]]
        chosen[order[place]] = f'{word}, {value:.1f}' if single else f'{word}, {value:+.1f}'
    what = f'mIoU of {runs[0]}' if single else f'mIoU of {runs[-1]} less mIoU of {runs[0]}'
    which = ', '.join(_ENDS.get(number) or (f'{number} ranks, evenly spread',))
    return Choice(chosen, f'frames by {what} among {len(order)}: {which}')
