"""The heads of the comparison, as options of one config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work
from rein_seg.config.find import CONFIGS, find_config
from rein_seg.config.load import load_config
from rein_seg.errors import UserError, near_misses


@dataclass(frozen=True)
class Variant:
    """A head of the comparison.

    Attributes:
        base: Name of its file in ``configs/_base_/heads``, or path of such a file.
        linked: Whether it takes the queries of the method.
        changes: Arguments of the head, over the file's.
    """

    base: str
    linked: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Returns options of a config that put this head in the place of its own.

        Example:
            >>> from rein_seg.bench.heads import HEADS
            >>> HEADS['linear'].options()['model.decode_head']['type']
            'LinearHead'
        """
        name = Path(self.base)
        path = name if name.suffix else CONFIGS / '_base_' / 'heads' / f'{self.base}.py'
        base = Config.fromfile(path)
        found = {'model.decode_head': {'_delete_': True, **base.decode_head, **self.changes}}
        if 'neck' in base:
            found['model.neck'] = dict(base.neck)
        if not self.linked:
            found['model.backbone.peft.link_to_queries'] = False
        return found


HEADS = {
    'Mask2Former': Variant('mask2former', linked=True),
    'EoMT': Variant('eomt'),
    'EoMT-256': Variant('eomt', changes={'upscale_channels': 256}),
    'PMT': Variant('pmt'),
    'linear': Variant('linear', linked=True),
    'UPerNet': Variant('upernet'),
}


def chosen_heads(names: Sequence[str] | None) -> dict[str, Variant]:
    """Returns the named heads, all without names; the first is the one to compare with.

    Raises:
        UserError: If there is no head of such a name, or a name comes twice.

    Example:
        >>> from rein_seg.bench.heads.variants import chosen_heads
        >>> list(chosen_heads(['linear', 'EoMT']))
        ['linear', 'EoMT']
    """
    names = list(HEADS) if names is None else list(names)
    for name in names:
        if name not in HEADS:
            raise UserError(f'head {name!r}: {near_misses(name, HEADS)}')
        if names.count(name) > 1:
            raise UserError(f'head {name!r} comes twice: give each head once')
    return {name: HEADS[name] for name in names}


def build_target(
    config: str, variant: Variant, work: Work, cfg_options: Mapping[str, Any] | None = None
) -> BenchmarkTarget:
    """Builds a config's model with another head, and its work.

    Args:
        config: Config file.
        variant: The head.
        work: Of the target.
        cfg_options: Dotted names -> values, over the head's.
    """
    options = {**variant.options(), **(cfg_options or {})}
    return BenchmarkTarget(load_config(find_config(config), cfg_options=options), work)
