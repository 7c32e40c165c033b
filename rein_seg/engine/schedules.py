"""Schedules of rates in a run that is resumed with another length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmengine.optim import OptimWrapper


def schedules_differ(wanted: Sequence[dict[str, Any]], built: Sequence[Any] | None) -> bool:
    """Whether schedules that took up the state of a checkpoint end elsewhere than the config says.

    Args:
        wanted: The config's ``param_scheduler``.
        built: The schedules.

    Example:
        >>> from types import SimpleNamespace
        >>> from rein_seg.engine.schedules import schedules_differ
        >>> schedules_differ([dict(type='PolyLR', end=640)], [SimpleNamespace(end=320)])
        True
    """
    pairs = zip(wanted, built or [], strict=True)
    return any('end' in cfg and cfg['end'] != schedule.end for cfg, schedule in pairs)


def restart_schedules(
    build: Callable[[], Sequence[Any]], wrapper: OptimWrapper, iterations: int
) -> Sequence[Any]:
    """Returns new schedules with the rates of a run that had them from the beginning.

    A schedule computes each rate from the rate before. One that had come to 0 would stay there.

    Args:
        build: Builds the schedules.
        wrapper: With the optimizer; its groups get the rates.
        iterations: Finished iterations.
    """
    for group in wrapper.param_groups:
        for key in [key for key in group if key.startswith('initial_')]:
            group[key.removeprefix('initial_')] = group[key]
    schedules = build()
    for _ in range(iterations):
        for schedule in schedules:
            schedule.step()
    return schedules
