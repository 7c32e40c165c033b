"""Settings that several parts share: said in one place, they reach all, or are refused.

The ignored label must be the same in data, transforms, padding, heads, losses and metrics: a pixel
that one part ignores and another counts would be trained or scored as a class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmseg.registry import MODELS, TRANSFORMS

from rein_seg.config.config_paths import Parts
from rein_seg.errors import UserError
from rein_seg.heads.cascade import heads_of

IGNORED = 255
_NAMES = ('ignore_index', 'seg_pad_val')


@dataclass(frozen=True)
class Place:
    """A part of a config that takes the ignored label.

    Attributes:
        key: Of the part, for messages.
        node: The part.
        name: Its argument.
    """

    key: str
    node: MutableMapping[str, Any]
    name: str

    @property
    def given(self) -> Any:
        """The value that the config says, None if it leaves it to the default."""
        return self.node.get(self.name)


def fill_ignored_label(cfg: Config, parts: Parts) -> None:
    """Gives every part the ignored label that some of them say, in place.

    Raises:
        UserError: If two parts say different labels.
    """
    places = list(_places(cfg, parts))
    said = [place for place in places if place.given is not None]
    if all(place.given == IGNORED for place in said):
        return
    first = said[0]
    for other in said:
        if other.given != first.given:
            raise UserError(
                f'{first.key}.{first.name}={first.given!r}, but {other.key}.{other.name}='
                f'{other.given!r}: expected one ignored label, since pixels that one part ignores '
                'would be classes of the other; set it in the data sets alone, from where it '
                'reaches heads, padding and metrics'
            )
    for place in places:
        place.node.setdefault(place.name, first.given)


def _places(cfg: Config, parts: Parts) -> Iterator[Place]:
    for use, datasets in parts.datasets.items():
        for dataset in datasets:
            key = f'{use}_dataloader.dataset'
            yield Place(key, dataset, 'ignore_index')
            for i, step in enumerate(dataset.get('pipeline') or ()):
                yield from _arguments(f'{key}.pipeline.{i}', step, TRANSFORMS)
                if step.get('type') == 'Pad' and isinstance(step.get('pad_val'), dict):
                    yield Place(f'{key}.pipeline.{i}.pad_val', step['pad_val'], 'seg')
    model = cfg.model
    for name in ('decode_head', 'auxiliary_head'):
        rows = _listed(model.get(name))
        for head in (part for row in rows for part in heads_of(row)):
            yield Place(f'model.{name}', head, 'ignore_index')
            for loss in _listed(head.get('loss_decode')):
                yield from _arguments(f'model.{name}.loss_decode', loss, MODELS)
    if model.get('data_preprocessor'):
        yield Place('model.data_preprocessor', model.data_preprocessor, 'seg_pad_val')
    for use, metrics in parts.metrics.items():
        for metric in metrics:
            yield Place(f'{use}_evaluator', metric, 'ignore_index')


def _arguments(key: str, node: Any, registry: Registry) -> Iterator[Place]:
    kind = node.get('type')
    cls = registry.get(kind) if isinstance(kind, str) else kind
    known = _parameters(cls) if callable(cls) else ()
    yield from (Place(key, node, name) for name in _NAMES if name in known or name in node)


def _parameters(cls: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters)


def _listed(nodes: Any) -> list[Any]:
    return list(nodes) if isinstance(nodes, (list, tuple)) else [nodes] if nodes else []
