"""Files that carry code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.campaign.case import MARKER, Case

KIND = 'files that carry code'


class Payload:
    """Writes the marker when it is unpickled."""

    def __reduce__(self):
        return os.system, (f'touch {MARKER}',)


def cases() -> Iterator[Case]:
    """Yields the cases."""

    def pickled(folder: Path) -> list[str]:
        torch.save(dict(state_dict=Payload()), folder / 'x.pth', pickle_module=pickle)
        return ['test', 'rein_tiny_miniscapes', 'x.pth']

    yield Case('test: a pickled call', pickled, says='x.pth.*refused')
