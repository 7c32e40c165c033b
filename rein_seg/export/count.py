"""Counts the parameters of a config by part, without any weights file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders import shapes_only
from rein_seg.models.base import count_parameters

HEADER = ('config', 'method', 'neck + head', 'trainable', 'frozen', 'method / frozen')


def build_shapes(cfg: Config) -> nn.Module:
    """Builds a config's model on the meta device: names and sizes, without memory or weights.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.export.count import build_shapes
        >>> encoder = dict(type='TinyViT', img_size=32, patch_size=8, init_seed=0,
        ...                arch=dict(embed_dims=16, num_layers=2, num_heads=2,
        ...                          feedforward_channels=32))
        >>> model = dict(type='PEFTSegmentor', num_classes=3, decode_head=dict(type='LinearHead'),
        ...              backbone=dict(type='PEFTBackbone', encoder=encoder,
        ...                            peft=dict(type='LoRA', rank=2)))
        >>> next(build_shapes(Config(dict(model=model))).parameters()).device
        device(type='meta')
    """
    with shapes_only():
        return MODELS.build(cfg.model)


def count(cfg: Config) -> dict[str, int]:
    """Returns the parameter counts of a config's model, by part.

    Frozen parameters that an encoder does not build because it never uses them (DINOv2's final norm
    and mask token) are not counted.
    """
    return count_parameters(build_shapes(cfg))


def count_table(counts: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a markdown table with one row for each config.

    Args:
        counts: Config name -> counts from `count`.

    Example:
        >>> from rein_seg.export.count import count_table
        >>> parts = dict(method=2_000, neck_and_head=500, trainable=2_500, frozen=100_000)
        >>> print(count_table({'lora': parts}).splitlines()[-1])
        | lora | 2,000 | 500 | 2,500 | 100,000 | 2.00 % |
    """
    rows = [HEADER, ('---', *['---:'] * (len(HEADER) - 1))]
    rows += [_row(name, parts) for name, parts in counts.items()]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _row(name: str, parts: Mapping[str, int]) -> Sequence[str]:
    numbers = [parts[key] for key in ('method', 'neck_and_head', 'trainable', 'frozen')]
    share = f'{100 * parts["method"] / parts["frozen"]:.2f} %' if parts['frozen'] else '-'
    return (name, *(f'{number:,}' for number in numbers), share)
