"""Parameters of a config, by part, without any weights file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders import shapes_only
from rein_seg.models.segmentor import count_parameters

HEADER = ('config', 'method', 'neck + head', 'trainable', 'frozen', 'method / frozen')


def build_shapes(cfg: Config) -> nn.Module:
    """Builds a config's model on the meta device: sizes and names, no memory, no weights file."""
    with shapes_only():
        return MODELS.build(cfg.model)


def count(cfg: Config) -> dict[str, int]:
    """Returns the parameter counts of a config's model, by part.

    Frozen parts that an encoder leaves out because it has no use for them (DINOv2's final norm and
    mask token) do not count.
    """
    return count_parameters(build_shapes(cfg))


def count_table(counts: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a markdown table with one row for each config.

    Args:
        counts: Config name -> what `count` returns.
    """
    rows = [HEADER, ('---', *['---:'] * (len(HEADER) - 1))]
    rows += [_row(name, parts) for name, parts in counts.items()]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _row(name: str, parts: Mapping[str, int]) -> Sequence[str]:
    numbers = [parts[key] for key in ('method', 'neck_and_head', 'trainable', 'frozen')]
    share = f'{100 * parts["method"] / parts["frozen"]:.2f} %' if parts['frozen'] else '-'
    return (name, *(f'{number:,}' for number in numbers), share)
