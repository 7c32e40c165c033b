"""Rein with Mask2Former as the official code computes it, to time our forms beside it.

Heads and encoders hold the plain forms, which are the official forms, so nearly all is done by
leaving the fast forms out. Three differences remain: the official code holds the scores of
attention in memory, predicts windows one by one, and updates one tensor at a time (the latter two
are set in `benchmark_target`). Rein itself, the reading of the labels, the random points and the
ReLU of the feed-forward layers are shared.

Differs from it: masks for the attention of the next layer are computed again for the losses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from torch.nn.attention import SDPBackend, sdpa_kernel

from rein_seg.fast.dispatch import without
from rein_seg.fast.switches import SWITCHES

SCORES = 'scores of attention in memory'
# it draws other points: with it in both, losses can be compared
_KEPT = ('short_draws',)
LEFT_OUT = tuple(name for name in SWITCHES if name not in _KEPT)
OFFICIAL = (SCORES, *LEFT_OUT)


@contextlib.contextmanager
def officially(names: Iterable[str] = OFFICIAL) -> Iterator[None]:
    """Computes the named parts as the official code does, for a while.

    Args:
        names: Of `OFFICIAL`.

    Example:
        >>> from rein_seg.bench.speed.official import officially
        >>> from rein_seg.fast.switches import SWITCHES
        >>> with officially():
        ...     [name for name in ('winograd', 'short_draws') if SWITCHES[name].on]
        ['short_draws']
    """
    names = list(names)
    with contextlib.ExitStack() as stack:
        if SCORES in names:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        for name in names:
            if name != SCORES:
                stack.enter_context(without(name))
        yield
