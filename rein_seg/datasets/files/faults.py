"""Faults in data: raised at the first, as a run does, or collected, as a check of all data does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from rein_seg.errors import UserError

MISSING = 'not there'
LISTING = 'cannot be listed'
NO_LABEL = 'image without label'
NO_IMAGE = 'label without image'
BAD_IMAGE = 'unreadable image'
BAD_LABEL = 'unreadable label'
CHANNELS = 'label of several channels'
FORM = 'label not as its data set says'
SIZE = 'label and image of two sizes'
IDS = 'ids that map nowhere'
INDEXES = 'class indexes where raw ids are expected'
COUNT = 'number of images'
DUPLICATE = 'same image in training and test'

# in the order of reports
KINDS = (
    MISSING, LISTING, COUNT, NO_LABEL, NO_IMAGE, BAD_IMAGE, BAD_LABEL, CHANNELS, FORM, SIZE, IDS,
    INDEXES, DUPLICATE,
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: One of `KINDS`.
        file: The file or folder; '' where it is none.
        message: What a run would say.
        allowed: What in the config says that it does no harm; '' if nothing does.
    """

    kind: str
    file: str
    message: str
    allowed: str = ''


_collected: ContextVar[list[Fault] | None] = ContextVar('collected faults', default=None)


@contextlib.contextmanager
def collect_faults() -> Iterator[list[Fault]]:
    """Yields a list; inside, `refuse` appends to it instead of raising."""
    faults: list[Fault] = []
    token = _collected.set(faults)
    try:
        yield faults
    finally:
        _collected.reset(token)


def are_collected() -> bool:
    """Says whether `refuse` would return."""
    return _collected.get() is not None


def refuse(kind: str, files: Iterable[object], message: str) -> None:
    """Raises; where faults are collected, notes one a file and returns.

    Raises:
        UserError: With the message, unless inside `collect_faults`.
    """
    faults = _collected.get()
    if faults is None:
        raise UserError(message)
    faults += [Fault(kind, str(file), message) for file in files]
