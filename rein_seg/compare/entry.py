"""A run of a comparison, as its tables see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """A run of a comparison, with its results.

    Args:
        variant: Name.
        seed: Seed.
        state: waiting, running, interrupted, failed or finished.
        config: Path of the config, as given.
        path: Path of results.json, relative to the comparison's folder.
        results: Content of results.json; None unless finished.
        sessions: Sessions in run.json.
        wall_seconds: Time of all sessions, None if unknown.
        error: Why it failed.
    """

    variant: str
    seed: int
    state: str = 'waiting'
    config: str | None = None
    path: str | None = None
    results: Results | None = None
    sessions: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    wall_seconds: float | None = None
    error: str | None = None
