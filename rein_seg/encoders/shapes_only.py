"""Builds models for their names and sizes, without values and without memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_ACTIVE: ContextVar[bool] = ContextVar('shapes_only', default=False)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Builds encoders inside it on the meta device and without weights.

    Example:
        >>> from rein_seg.encoders import build_encoder, shapes_only
        >>> with shapes_only():
        ...     encoder, info = build_encoder(dict(type='DINOv2', checkpoint='not_there.pth'))
        >>> sum(parameter.numel() for parameter in encoder.parameters())
        304196608
        >>> info.weights
        'none: shapes only'
    """
    token = _ACTIVE.set(True)
    try:
        with torch.device('meta'), _CountingOnCPU():
            yield
    finally:
        _ACTIVE.reset(token)


def is_shapes_only() -> bool:
    """Returns whether encoders are built without weights at the moment."""
    return _ACTIVE.get()


class _CountingOnCPU(TorchFunctionMode):
    """Keeps ``torch.linspace`` real: constructors read drop-path rates from it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        more = {'device': 'cpu'} if func is torch.linspace else {}
        return func(*args, **{**more, **(kwargs or {})})
