"""weights."""

from __future__ import annotations

from collections.abc import Iterator

from tests.campaign.case import Case

KIND = 'weights'


def cases() -> Iterator[Case]:
    """Yields the cases."""
    yield from ()
