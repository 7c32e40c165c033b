"""The hook that opens the masks of a head, for configs that do not name it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.config.config_paths import Parts
from rein_seg.heads.contract import DecodeHead

HOOK = 'MaskAnnealingHook'


def anneals(head: Any) -> bool:
    """Says whether a config of a decode head is of a head whose masks are opened in training.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.config.annealing import anneals
        >>> anneals(dict(type='LinearHead'))
        False
    """
    cls = MODELS.get(str(head.get('type'))) if isinstance(head, Mapping) else None
    return isinstance(cls, type) and issubclass(cls, DecodeHead) and cls.anneals_masks


def fill_annealing(cfg: Config, parts: Parts) -> None:
    """Adds `MaskAnnealingHook` in its default form, in place, where a head of the model needs one.

    Args:
        cfg: The config.
        parts: Its parts.
    """
    named = any(hook.get('type') == HOOK for _, hook in parts.hooks())
    if not named and any(map(anneals, _heads(cfg.model))):
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type=HOOK)]


def _heads(model: Mapping[str, Any]) -> Iterator[Any]:
    """Yields the configs of decode heads and auxiliary heads, of each task, too."""
    for part in (model, *(model.get('tasks') or {}).values()):
        yield part.get('decode_head')
        auxiliary = part.get('auxiliary_head')
        yield from auxiliary if isinstance(auxiliary, Sequence) else [auxiliary]
