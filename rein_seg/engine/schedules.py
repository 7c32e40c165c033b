"""Schedules of rates in a run that is resumed with another length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.optim import OptimWrapper

from rein_seg.engine.adversarial_optim import by_name, each_wrapper

Schedules = Sequence[Any] | Mapping[str, Sequence[Any]]


def schedules_differ(wanted: Sequence[dict[str, Any]], built: Schedules | None) -> bool:
    """Whether schedules that took up the state of a checkpoint end elsewhere than the config says.

    Args:
        wanted: The config's ``param_scheduler``.
        built: The schedules, or those of each optimizer by its name.

    Example:
        >>> from types import SimpleNamespace
        >>> from rein_seg.engine.schedules import schedules_differ
        >>> schedules_differ([dict(type='PolyLR', end=640)], [SimpleNamespace(end=320)])
        True
    """
    return any(
        'end' in cfg and cfg['end'] != schedule.end
        for schedules in by_name(built or []).values()
        for cfg, schedule in zip(wanted, schedules, strict=True)
    )


def restart_schedules(
    build: Callable[[], Schedules], wrapper: OptimWrapper, iterations: int
) -> Schedules:
    """Returns new schedules with the rates of a run that had them from the beginning.

    A schedule computes each rate from the rate before. One that had come to 0 would stay there.

    Args:
        build: Builds the schedules.
        wrapper: With the optimizer; its groups get the rates.
        iterations: Finished iterations.
    """
    for one in each_wrapper(wrapper).values():
        for group in one.param_groups:
            for key in [key for key in group if key.startswith('initial_')]:
                group[key.removeprefix('initial_')] = group[key]
    schedules = build()
    for each in by_name(schedules).values():
        for _ in range(iterations):
            for schedule in each:
                schedule.step()
    return schedules
