"""The config of a model that is described by the names of its parts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.config.definitions import OWN
from rein_seg.config.find import CONFIGS
from rein_seg.config.read import read
from rein_seg.encoders import SOURCE_KEYS
from rein_seg.errors import UserError, near_misses
from rein_seg.heads.cascade import head_class
from rein_seg.library.attach import method_config
from rein_seg.models.text_config import default_text
from rein_seg.palettes import distinct_colours

_URL = 'checkpoint_url'
_HEADS = ('decode_head', 'auxiliary_head')


def base_names(kind: str) -> list[str]:
    """Returns the names of the shipped bases of a kind.

    Args:
        kind: ``encoders`` or ``heads``.

    Example:
        >>> from rein_seg.library.config import base_names
        >>> {'linear', 'mask2former'} <= set(base_names('heads'))
        True
    """
    return sorted(path.stem for path in (CONFIGS / '_base_' / kind).glob('*.py'))


def read_base(kind: str, name: Any, key: str) -> dict[str, Any]:
    """Returns the content of a shipped base, or ``{key: name}`` for a config of one's own.

    Args:
        kind: ``encoders`` or ``heads``.
        name: Name of a base, or a config ``dict(type=..., ...)``.
        key: Name of the config in the base.

    Raises:
        UserError: If there is no such base, or ``name`` is neither.
    """
    if isinstance(name, Mapping):
        return {key: dict(name)}
    known = base_names(kind)
    if not isinstance(name, str) or name not in known:
        raise UserError(
            f'{kind[:-1]}={name!r} is no shipped {kind[:-1]}; {near_misses(str(name), known)} '
            f'(all: {", ".join(known)}); or give dict(type=..., ...)'
        )
    return read(str(CONFIGS / '_base_' / kind / f'{name}.py')).content.to_dict()


def encoder_config(
    encoder: str | Mapping[str, Any],
    *,
    pretrained: bool,
    checkpoint: str | Path | None,
    init_seed: int | None,
    size: int | Sequence[int] | None,
) -> dict[str, Any]:
    """Returns the config of an encoder with one source of weights; see `build_model`.

    Raises:
        UserError: If the encoder is unknown or has bands, several sources are given, or ``size``
            has no effect.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.library.config import encoder_config
        >>> options = dict(pretrained=False, checkpoint=None, init_seed=None, size=None)
        >>> encoder_config('vit_tiny', **options)
        {'name': 'TinyViT', 'type': 'TinyViT', 'init_seed': 0}
    """
    cfg = read_base('encoders', encoder, 'encoder')['encoder']
    if cfg.get('bands'):
        raise UserError(
            f'encoder {cfg.get("name", cfg.get("type"))!r} has bands, and models of the library '
            'normalise RGB: leave bands out, or train with a config of benchmark.bands '
            '(rein-seg train), whose run rein_seg.load reads'
        )
    given = [checkpoint is not None, init_seed is not None or not pretrained]
    if all(given):
        raise UserError(
            f'checkpoint={str(checkpoint)!r} and random weights (pretrained={pretrained}, '
            f'init_seed={init_seed}) exclude one another: give one of them'
        )
    if any(given):
        kept = ('init_filters',) if given[1] else ()
        for key in (*SOURCE_KEYS, _URL):
            if key not in kept:
                cfg.pop(key, None)
        source = {'checkpoint': str(checkpoint)} if given[0] else {'init_seed': init_seed or 0}
        cfg.update(source)
    if size is not None:
        _set_size(cfg, size)
    return cfg


def _set_size(cfg: dict[str, Any], size: int | Sequence[int]) -> None:
    cls = MODELS.get(str(cfg.get('type')))
    if cls is not None and 'img_size' not in inspect.signature(cls).parameters:
        raise UserError(
            f'size={size!r} has no effect: encoder {cfg.get("name", cfg.get("type"))!r} has no '
            'stored grid of positions and takes images of any size; leave it out'
        )
    cfg['img_size'] = size if isinstance(size, int) else tuple(size)


def model_config(
    encoder: Mapping[str, Any],
    peft: Any,
    head: str | Mapping[str, Any],
    *,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]] | None,
    text: str | Mapping[str, Any] | None,
    test_cfg: Mapping[str, Any] | None,
    activation_checkpointing: bool,
) -> Config:
    """Returns a config that `rein_seg.load` can build from an adapter file; see `build_model`.

    Raises:
        UserError: If the head is unknown, or the classes and the palette do not fit.
    """
    parts = read_base('heads', head, 'decode_head')
    if 'decode_head' not in parts:
        raise UserError(
            f'head={head!r} is a head of whole images: expected a head that segments, such as '
            "'linear'; take it, or train a PEFTImageModel by a config (docs/guides/image-tasks.md)"
        )
    method = method_config(peft, queries=reads_queries(parts['decode_head']))
    saving = {'activation_checkpointing': True} if activation_checkpointing else {}
    backbone = dict(type='PEFTBackbone', encoder=dict(encoder), peft=method, **saving)
    names = _class_names(classes)
    of_head = parts.pop('text_branch', None)
    parts['text'] = _text_config(text or of_head, parts, method, names)
    meta = dict(classes=names, palette=_colours(palette, len(names)))
    test_cfg = dict(test_cfg or dict(mode='whole'))
    pipeline = [dict(type='LoadDomainImage'), dict(type='PackDomainInputs')]
    content = dict(
        default_scope='mmseg',
        model=dict(
            type='PEFTSegmentor',
            backbone=backbone,
            **{key: part for key, part in parts.items() if part is not None},
            num_classes=len(names),
            test_cfg=test_cfg,
        ),
        # a loop of one's own trains by no published protocol
        benchmark=dict(name=f'{OWN}model', num_classes=len(names), test_cfg=test_cfg),
        test_dataloader=dict(
            batch_size=1,
            num_workers=0,
            dataset=dict(
                type='FolderDataset', domain='own', metainfo=meta, pipeline=pipeline, test_mode=True
            ),
        ),
    )
    return Config(content, format_python_code=False)


def reads_queries(head: Mapping[str, Any]) -> bool:
    """Says whether a head reads the queries that some methods make."""
    cls = head_class(head)
    return cls is not None and 'query_dims' in cls.filled_in


def _text_config(
    text: str | Mapping[str, Any] | None,
    parts: Mapping[str, Any],
    method: Any,
    classes: Sequence[str],
) -> dict[str, Any] | None:
    """Returns the config of a text branch: the given, or a fixed table if one is read.

    Raises:
        UserError: If a part reads class names, and there are none.
    """
    own = {key: part for key, part in parts.items() if key in ('neck', *_HEADS)}
    given = {'type': text} if isinstance(text, str) else text or default_text(own, method)
    if given is None:
        return None
    if unnamed(classes):
        head = f'head {parts["decode_head"].get("type")!r}'
        raise UserError(
            f'{head if text or default_text(own) else "the method"} reads the names of the '
            f'classes, and only their number, {len(classes)}, is given: expected names; give '
            "classes=['road', ...]"
        )
    return {'classes': list(classes), **given}


def unnamed(classes: Sequence[str]) -> bool:
    """Says whether classes are only numbered.

    Example:
        >>> from rein_seg.library.config import unnamed
        >>> unnamed(['class 0', 'class 1']), unnamed(['road', 'sky'])
        (True, False)
    """
    return list(classes) == [f'class {i}' for i in range(len(classes))]


def _class_names(classes: Sequence[str]) -> list[str]:
    names = [str(name) for name in classes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if isinstance(classes, str) or len(names) < 2 or twice is not None:
        raise UserError(
            f'classes={classes!r}: expected a list of two different names or more'
            + ('' if twice is None else f', {twice!r} is there twice')
        )
    return names


def _colours(palette: Any, count: int) -> list[list[int]]:
    if palette is None:
        return distinct_colours(count)
    colours = [[int(value) for value in colour] for colour in palette]
    if len(colours) != count or any(
        len(c) != 3 or not 0 <= min(c) <= max(c) < 256 for c in colours
    ):
        raise UserError(
            f'palette has {len(colours)} entries for {count} classes: expected one [r, g, b] of '
            '0..255 for each'
        )
    return colours
