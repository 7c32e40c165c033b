"""The arguments that a model fills into the configs of its heads and methods.

C channels, K classes.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import nn

from rein_seg.encoders import WeightSource
from rein_seg.encoders.build import EncoderInfo
from rein_seg.errors import UserError
from rein_seg.heads.cascade import CascadeHead
from rein_seg.heads.contract import DecodeHead, HeadInputs, Index, check_several
from rein_seg.heads.image import ImageHead
from rein_seg.heads.mmseg_head import (
    MMSegHead,
    check_head,
    check_strides,
    check_tokens,
    further_arguments,
)
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.peft import PEFTMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.text import TextBranch

# facts of the text branch and of the space that it shares with images
_OF_TEXT = ('joint_dims', 'text_dims', 'unseen')


def build_head(cfg: Mapping[str, Any], inputs: HeadInputs) -> nn.Module:
    """Builds a head that reads all maps, or the last map where it reads a single map.

    Args:
        cfg: Config of the head. Its own values win over the filled-in ones.
        inputs: The facts to fill in.

    Raises:
        UserError: If there is one class, the config contradicts the facts, combines options of a
            loss that mmseg fails on, or names a class that is no head.

    Example:
        >>> from rein_seg.heads.contract import HeadInputs
        >>> from rein_seg.models.head_config import build_head
        >>> inputs = HeadInputs(channels=(8, 16), strides=(4, 8), num_classes=3)
        >>> build_head(dict(type='LinearHead'), inputs).in_channels
        24
        >>> build_head(dict(type='FCNHead', channels=4), inputs).in_channels
        16
    """
    if inputs.num_classes < 2:
        raise UserError(
            f'num_classes={inputs.num_classes}: expected 2 or more, since with one class loss and '
            'gradient are 0; count the background, and take out_channels=1 with a sigmoid loss '
            'for one channel'
        )
    if MODELS.get(cfg['type']) is CascadeHead:
        given = cfg.get('heads') or ()
        heads = [_build(head, inputs, refines=i > 0) for i, head in enumerate(given)]
        return MODELS.build({**cfg, 'heads': heads})
    return _build(cfg, inputs)


def _build(cfg: Mapping[str, Any], inputs: HeadInputs, *, refines: bool = False) -> nn.Module:
    """Builds one head; with ``refines``, a head that may take the result of another head."""
    _check_losses(cfg)
    every = list(range(len(inputs.channels)))
    cls = MODELS.get(cfg['type'])
    if cls is None:
        return MODELS.build(dict(cfg))  # names the near misses
    if not refines:
        check_head(cls)
    if issubclass(cls, DecodeHead):
        return MODELS.build(_filled(cfg, inputs, cls.facts(cfg), cfg.get('in_index', every)))
    if cfg.get('out_channels') == 1:
        cfg = {'threshold': 0.5, **cfg}  # mmseg's own default is 0.3
    if 'in_index' in cfg:
        try:
            return _build_of_mmseg(cls, cfg, inputs, cfg['in_index'])
        except AssertionError as error:
            _check_number_of_maps(cfg, error)
            raise
    try:
        return _build_of_mmseg(cls, cfg, inputs, every)
    except AssertionError:  # a head of mmseg that reads a single map refuses a list
        return _build_of_mmseg(cls, cfg, inputs, every[-1])


def _check_number_of_maps(cfg: Mapping[str, Any], error: AssertionError) -> None:
    """Says in words that a head of mmseg reads one map and is given a list, or the reverse."""
    if traceback.extract_tb(error.__traceback__)[-1].name != '_init_inputs':
        return
    check_several(cfg['type'], cfg['in_index'])
    raise UserError(
        f'{cfg["type"]} reads one map, and decode_head.in_index={list(cfg["in_index"])} is a list: '
        'expected an index, such as -1 for the last map'
    ) from error


def _build_of_mmseg(
    cls: type, cfg: Mapping[str, Any], inputs: HeadInputs, in_index: Index
) -> nn.Module:
    filled = _filled(cfg, inputs, MMSegHead.filled_in, in_index)
    check_strides(cls, cfg, in_index)
    check_tokens(cls, inputs, in_index)
    return MODELS.build({**further_arguments(cls, inputs, in_index), **filled})


def _filled(
    cfg: Mapping[str, Any], inputs: HeadInputs, names: Sequence[str], in_index: Index
) -> dict[str, Any]:
    """Returns the config with the named facts where it leaves them out."""
    facts = inputs.arguments(in_index)
    given = cfg.get('in_channels', facts['in_channels'])
    if given != facts['in_channels']:
        raise UserError(
            f'head {cfg["type"]!r} has in_channels={given}, but the maps it reads have '
            f'{facts["in_channels"]}: leave in_channels out, it is read from the encoder'
        )
    number = cfg.get('num_classes', inputs.num_classes)
    if number != inputs.num_classes:
        raise UserError(
            f'head {cfg["type"]!r} has num_classes={number}, the model '
            f'num_classes={inputs.num_classes}: leave it out of the head, it is filled in'
        )
    for name in set(_OF_TEXT) & set(names) & set(cfg):
        if _plain(cfg[name]) != _plain(facts[name]):
            raise UserError(
                f'head {cfg["type"]!r} has {name}={cfg[name]!r}, the model {facts[name]!r}: leave '
                'it out of the head, it is filled in'
            )
    return {**{name: facts[name] for name in names}, **cfg}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def build_image_head(cfg: Mapping[str, Any], inputs: HeadInputs, method: PEFTMethod) -> Any:
    """Builds a head for whole images, which reads all maps or those of its ``in_index``.

    Args:
        cfg: Config of the head. Its own values win over the filled-in ones.
        inputs: The facts to fill in.
        method: Of the backbone.

    Raises:
        UserError: If the class is no such head, the config contradicts the facts, the head reads
            what the method does not compute, or it does not read the method's queries.

    Example:
        >>> from rein_seg.heads.contract import HeadInputs
        >>> from rein_seg.models.head_config import build_image_head
        >>> from rein_seg.peft.methods.frozen import Frozen
        >>> inputs = HeadInputs(channels=(8, 16), strides=(4, 8), num_classes=3)
        >>> build_image_head(dict(type='LinearImageHead'), inputs, Frozen()).classify
        Linear(in_features=16, out_features=3, bias=True)
    """
    cls = MODELS.get(cfg['type'])
    if cls is None:
        return MODELS.build(dict(cfg))  # names the near misses
    if not (isinstance(cls, type) and issubclass(cls, ImageHead)):
        raise UserError(
            f'{cfg["type"]} is no head for whole images: expected LinearImageHead or another '
            'ImageHead; take it, or PEFTSegmentor for a head of pixels'
        )
    if cls.reads_first and not method.looks_first:
        raise UserError(
            f'{cfg["type"]} reads the features of the frozen encoder, which '
            f'{type(method).__name__} does not compute: expected a method that looks first; set '
            "model.backbone.peft=dict(type='CAVPT'), or take another head"
        )
    if inputs.query_dims is not None and 'query_dims' not in cls.filled_in:
        raise UserError(
            f'{type(method).__name__} makes queries, but {cfg["type"]} takes none, so they would '
            'never train: expected a method without queries; set '
            'model.backbone.peft.link_to_queries=False'
        )
    every = list(range(len(inputs.channels)))
    return MODELS.build(_filled(cfg, inputs, cls.filled_in, cfg.get('in_index', every)))


def head_inputs(
    backbone: PEFTBackbone, encoder: Mapping[str, Any], num_classes: int, text: TextBranch | None
) -> HeadInputs:
    """Returns the facts to fill into neck and heads.

    Args:
        backbone: The built backbone.
        encoder: Config of its encoder.
        num_classes: K.
        text: The text branch, or None.
    """
    return HeadInputs(
        channels=backbone.out_channels,
        strides=backbone.anatomy.out_strides,
        num_classes=num_classes,
        query_dims=backbone.query_dims,
        checkpoint=WeightSource.file_of(encoder),
        embedding_dims=backbone.embedding_dims,
        joint_dims=backbone.joint_dims,
        text_dims=None if text is None else text.dims,
        unseen=() if text is None else text.unseen,
        text_scale=None if text is None else text.scale,
        encoder_heads=backbone.anatomy.num_heads,
        encoder_rotary=backbone.anatomy.rotary,
    )


def fill_methods(backbone: Mapping[str, Any], num_classes: int) -> dict[str, Any]:
    """Returns a backbone's config with K filled in for each method that takes it.

    Args:
        backbone: Config of the backbone; its ``peft`` is a method or a list of methods.
        num_classes: K.

    Example:
        >>> from rein_seg.models.head_config import fill_methods
        >>> fill_methods(dict(peft=[dict(type='SPM'), dict(type='LoRA')]), 19)['peft']
        [{'num_classes': 19, 'type': 'SPM'}, {'type': 'LoRA'}]
    """

    def fill(method: Mapping[str, Any]) -> Mapping[str, Any]:
        cls = PEFT_METHODS.get(method.get('type', ''))
        takes = cls is not None and 'num_classes' in cls.filled_in
        if method.get('num_classes', num_classes) != num_classes:
            raise UserError(
                f'{method["type"]} has num_classes={method["num_classes"]}, the model '
                f'num_classes={num_classes}: leave it out of the method, it is filled in'
            )
        return {'num_classes': num_classes, **method} if takes else method

    peft = backbone['peft']
    filled = fill(peft) if isinstance(peft, Mapping) else [fill(method) for method in peft]
    return {**backbone, 'peft': filled}


def check_keeps_pixels(peft: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Refuses methods that move the content of an image, for models that label pixels.

    Args:
        peft: Config of a method, or a list of configs.

    Raises:
        UserError: If a method moves pixels.

    Example:
        >>> from rein_seg.models.head_config import check_keeps_pixels
        >>> check_keeps_pixels(dict(type='FRPT'))
        Traceback (most recent call last):
        rein_seg.errors.UserError: method FRPT moves the content of images, and labels of pixels \
would have to move with it: expected a model of whole images, PEFTImageModel; take it, or \
another method
    """
    for method in [peft] if isinstance(peft, Mapping) else peft:
        if getattr(PEFT_METHODS.get(method.get('type', '')), 'moves_pixels', False):
            raise UserError(
                f'method {method["type"]} moves the content of images, and labels of pixels would '
                'have to move with it: expected a model of whole images, PEFTImageModel; take it, '
                'or another method'
            )


def preprocessor_config(
    info: EncoderInfo, crop_size: Sequence[int] | None, ignore_index: int = 255
) -> dict[str, Any]:
    """Returns the config of mmseg's preprocessor, or of bands, with the encoder's normalisation.

    Args:
        info: Of the encoder.
        crop_size: (h, w) that training batches are padded to; None does not pad.
        ignore_index: Label of the padding.
    """
    kind: dict[str, Any] = dict(type='SegDataPreProcessor', bgr_to_rgb=True)
    if info.bands is not None:
        kind = dict(type='BandPreProcessor', names=list(info.bands.names))
    return dict(
        **kind,
        mean=list(info.mean),
        std=list(info.std),
        pad_val=0,
        seg_pad_val=ignore_index,
        **(dict(size=tuple(crop_size)) if crop_size else dict(size_divisor=1)),
    )


def _check_losses(cfg: Mapping[str, Any]) -> None:
    losses = cfg.get('loss_decode') or []
    for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
        if isinstance(loss.get('class_weight'), str):  # mmengine.load unpickles any file
            raise UserError(
                f'head {cfg.get("type")!r}: class_weight={loss["class_weight"]!r} is a file: '
                'expected a list with a number for each class'
            )
        if loss.get('class_weight') is not None and loss.get('avg_non_ignore'):
            raise UserError(
                f'head {cfg.get("type")!r}: mmseg fails on class_weight together with '
                'avg_non_ignore=True when pixels are ignored; set avg_non_ignore=False'
            )
