"""Faults in data: raised at once (a training run), or collected (a check of all data)."""

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
OTHER_IDS = 'ids of another convention'
MASKS = 'masks where class indexes are expected'
COUNT = 'number of images'
IGNORED = 'no label has a pixel of a class'
DUPLICATE = 'same image in training and test'

# in the order of reports
KINDS = (
    MISSING, LISTING, COUNT, NO_LABEL, NO_IMAGE, BAD_IMAGE, BAD_LABEL, CHANNELS, FORM, SIZE, IDS,
    OTHER_IDS, INDEXES, MASKS, IGNORED, DUPLICATE,
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A fault of a file or folder.

    Attributes:
        kind: One of `KINDS`.
        file: The file or folder; '' if the fault belongs to no file.
        message: Error text that a run would end with.
        allowed: The option of the config that allows it, '' if it is not allowed.
    """

    kind: str
    file: str
    message: str
    allowed: str = ''


# a context variable, not a global: other threads keep raising
_collected: ContextVar[list[Fault] | None] = ContextVar('collected faults', default=None)


@contextlib.contextmanager
def collect_faults() -> Iterator[list[Fault]]:
    """Yields a list; inside, `refuse` appends to it instead of raising.

    Example:
        >>> from rein_seg.datasets.files.faults import SIZE, collect_faults, refuse
        >>> with collect_faults() as faults:
        ...     refuse(SIZE, ['a.png', 'b.png'], 'label and image differ')
        >>> [fault.file for fault in faults]
        ['a.png', 'b.png']
    """
    faults: list[Fault] = []
    token = _collected.set(faults)
    try:
        yield faults
    finally:
        _collected.reset(token)


def are_collected() -> bool:
    """Tells whether `refuse` collects faults instead of raising."""
    return _collected.get() is not None


def refuse(kind: str, files: Iterable[object], message: str) -> None:
    """Raises the message; inside `collect_faults`, notes a fault a file and returns.

    Raises:
        UserError: With the message, unless inside `collect_faults`.
    """
    faults = _collected.get()
    if faults is None:
        raise UserError(message)
    faults += [Fault(kind, str(file), message) for file in files]
