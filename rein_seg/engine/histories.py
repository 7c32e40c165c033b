"""Log histories of a checkpoint: only as long as later log lines read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer
from mmengine.runner import LogProcessor


def longest_window(processor: LogProcessor, *, epoch: int | None) -> int | None:
    """Returns the number of values that a log line averages, at most; None is all of them.

    Args:
        processor: Of the run.
        epoch: Iterations of an epoch, which windows called ``epoch`` have; None is not known.

    Example:
        >>> from mmengine.runner import LogProcessor
        >>> from rein_seg.engine.histories import longest_window
        >>> longest_window(LogProcessor(window_size=10, by_epoch=False), epoch=None)
        10
    """
    windows = [processor.window_size, *(cfg.get('window_size') for cfg in processor.custom_cfg)]
    windows += ['epoch'] * processor.by_epoch
    lengths = [epoch if window == 'epoch' else window for window in windows]
    # "global", or a minimum of all values
    whole = any(not isinstance(length, int) for length in lengths)
    return None if whole else max(lengths)


def shortened(hub: Mapping[str, Any], window: int | None) -> dict[str, Any]:
    """Returns the state of a message hub with its older log values as one sum.

    mmengine's histories keep every value of a run, in every checkpoint. The mean over a window, and
    over the whole run, are those of the full history.

    Args:
        hub: From ``MessageHub.state_dict()``.
        window: Values that stay as they are; None keeps all.

    Example:
        >>> from mmengine.logging import HistoryBuffer
        >>> from rein_seg.engine.histories import shortened
        >>> hub = dict(log_scalars={'loss': HistoryBuffer([4.0, 2.0, 3.0, 1.0], [1, 1, 1, 1])})
        >>> short = shortened(hub, 2)['log_scalars']['loss']
        >>> short.data
        (array([6., 3., 1.]), array([2, 1, 1]))
        >>> float(short.mean(2)), float(short.mean())
        (2.0, 2.5)
    """
    if window is None:
        return dict(hub)
    scalars = {name: _shorten(one, window) for name, one in hub['log_scalars'].items()}
    return {**hub, 'log_scalars': scalars}


def _shorten(history: HistoryBuffer, window: int) -> HistoryBuffer:
    values, counts = history.data
    if len(values) <= window + 1:
        return history
    # added from left to right: a run that was resumed in between gets the same sum, bit for bit
    values, counts = (
        np.append(np.cumsum(part[:-window])[-1:], part[-window:]) for part in (values, counts)
    )
    return HistoryBuffer(values.tolist(), counts.tolist())
