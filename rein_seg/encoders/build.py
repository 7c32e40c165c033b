"""Builds an encoder with its weights: they load here, in the constructor, on every rank."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg.registry import MODELS
from torch import nn

from rein_seg.bands import short_list
from rein_seg.encoders.anatomy import find_anatomy, known_classes
from rein_seg.encoders.bands import STORED, InputBands, adapt_first_layer
from rein_seg.encoders.checks import check_config
from rein_seg.encoders.info import DEFAULT_MEAN, DEFAULT_STD, EncoderInfo, Published, describe
from rein_seg.encoders.shapes_only import is_shapes_only, shapes_only
from rein_seg.encoders.sharing import shared_encoder, sharing
from rein_seg.encoders.source import WeightSource
from rein_seg.environment import quiet_imports
from rein_seg.errors import UserError, near_misses
from rein_seg.registry import build_with_hints


def build_encoder(cfg: Mapping[str, Any]) -> tuple[nn.Module, EncoderInfo]:
    """Builds an encoder and loads, or draws from a seed, its weights.

    Args:
        cfg: Registry config of the encoder (``type`` and its arguments), with further keys:
            ``checkpoint``, a file of weights, ``package:NAME`` for a file of this package,
            ``package:PACKAGE/FILE`` for a file of an installed package, an address of the web or
            an id of the hub (``hf:facebook/dinov2-base``);
            ``checkpoint_url``, the address that a missing ``checkpoint`` is downloaded from;
            ``pretrained=True``, weights by hub id, for classes with hub ids; ``init_seed``, a
            seed of random weights, for tests and demonstrations; ``init_filters=True`` beside it,
            random weights that tell textures apart (`draw_filters`); ``name``, the encoder's name
            in results; ``mean`` and ``std`` of its images (default: of the class, else
            ImageNet's); ``bands``, a dict of `InputBands`, for images of other bands than RGB.

    Returns:
        The encoder, in eval mode, and its description.

    Raises:
        UserError: If not exactly one of ``checkpoint``, ``init_seed`` and ``pretrained=True`` is
            given, the file is missing, cannot be downloaded or does not cover every tensor,
            `sharing` has set another encoder, or the first layer cannot take the bands.

    Example:
        >>> import torch
        >>> from rein_seg.encoders import build_encoder
        >>> cfg = dict(type='TinyViT', checkpoint='package:tiny_vit.safetensors')
        >>> encoder, info = build_encoder({**cfg, 'out_indices': [3, 7]})
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 128))]
        [(1, 192, 8, 16), (1, 192, 8, 16)]
        >>> info.weights[:13], info.config['type']
        ('sha256:ad7d5d', 'rein_seg.TinyViT')
    """
    shared = shared_encoder()
    if shared is not None:
        with sharing(None), shapes_only():
            _, info = build_encoder(cfg)
        return shared.encoder, shared.info_for(cfg, info)
    args = dict(cfg)
    name = args.pop('name', None) or str(args.get('type'))
    mean, std = args.pop('mean', None), args.pop('std', None)
    bands = InputBands.of(args.pop('bands', None))
    source = WeightSource.take(args, name)
    check_config(args)
    encoder = _construct(name, args.pop('type', None), args)
    stored = bands is not None and bands.first_layer == STORED
    if bands is not None and stored:
        if source.seed is not None:
            raise UserError(
                f'encoder {name!r}: bands.first_layer={STORED!r} reads the first layer from a '
                'weights file, and init_seed draws it: give checkpoint=FILE, or first_layer=repeat'
            )
        adapt_first_layer(find_anatomy(encoder), bands)
    weights = 'none: shapes only' if is_shapes_only() else source.fill(encoder)
    encoder.eval()
    own = isinstance(encoder, Published)
    mean = tuple(mean or (encoder.image_mean if own else DEFAULT_MEAN))
    std = tuple(std or (encoder.image_std if own else DEFAULT_STD))
    if bands is not None:
        _check_statistics(name, bands, {'mean': mean, 'std': std})
        if not stored:
            adapt_first_layer(find_anatomy(encoder), bands)
    return encoder, EncoderInfo(name, weights, describe(encoder, args), mean, std, bands)


def _check_statistics(
    name: str, bands: InputBands, statistics: Mapping[str, tuple[float, ...]]
) -> None:
    """Checks that mean and std have a number for each band."""
    for key, values in statistics.items():
        if len(values) != len(bands.names):
            raise UserError(
                f'encoder {name!r} takes {short_list(bands.names)}, and its {key} has '
                f'{len(values)} numbers: expected one for each band; give encoder.{key}'
            )


def fetch_weights(cfg: Mapping[str, Any]) -> None:
    """Has the file of an encoder's weights on this machine before work begins; loads nothing.

    Args:
        cfg: As for `build_encoder`.

    Raises:
        UserError: If the file cannot be had.
    """
    args = dict(cfg)
    name = args.pop('name', None) or str(args.get('type'))
    source = WeightSource.take(dict(args), name)
    if source.checkpoint is None and source.seed is None and not is_shapes_only():
        with shapes_only():
            encoder, _ = build_encoder(cfg)
        source.fetch_pretrained(encoder)


def _construct(name: str, kind: Any, args: Mapping[str, Any]) -> nn.Module:
    try:
        with quiet_imports():  # the class's package is imported here, on first use
            cls = MODELS.get(str(kind))
            if cls is None:
                raise UserError(
                    f'encoder {name!r}: type={kind!r} is not registered; '
                    f'{near_misses(str(kind), known_classes())}'
                )
            return build_with_hints(cls, copy.deepcopy(dict(args)), what=f'encoder {name!r}')
    except AssertionError as error:  # mmpretrain checks its arguments with assert
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = (
            str(error) or f'assert {place.line} ({Path(place.filename).name}, line {place.lineno})'
        )
        raise UserError(f'encoder {name!r} cannot be built: {why}') from error
