"""Builds models and backbones from the names of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.library.attach import Peft, method_config
from rein_seg.library.config import encoder_config, model_config
from rein_seg.library.model import BuiltBackbone, BuiltModel
from rein_seg.models.backbone import PEFTBackbone


def build_model(
    encoder: str | Mapping[str, Any] = 'dinov2_large',
    peft: Peft = 'Rein',
    head: str | Mapping[str, Any] = 'mask2former',
    num_classes: int | None = None,
    *,
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
    text: str | Mapping[str, Any] | None = None,
    pretrained: bool = True,
    checkpoint: str | Path | None = None,
    init_seed: int | None = None,
    size: int | Sequence[int] | None = None,
    test_cfg: Mapping[str, Any] | None = None,
    activation_checkpointing: bool = False,
) -> BuiltModel:
    """Builds a segmentation model as a plain module, for any training loop.

    ``model(images)`` gives logits in the size of the images, ``model.loss(images, labels)`` a dict
    of losses, ``model.predict(images)`` class maps. Images are RGB, (B, 3, H, W), uint8 of 0..255
    or floating-point of 0..1; the model normalises them. `save_adapter` writes the file that
    `rein_seg.load` and ``rein-seg predict`` read.

    Args:
        encoder: Name of a shipped encoder (``configs/_base_/encoders``), or its config.
        peft: Name of a method, its config, or a list of these. A method makes queries for the head
            if the head reads them.
        head: Name of a shipped head (``configs/_base_/heads``), or its config.
        num_classes: K; or give ``classes``. Default 19.
        classes: Names of the classes, for predictions and files.
        palette: [r, g, b] of each class; default colours that people tell apart.
        text: Name or config of the text branch of a head that reads class names, such as ``CoOp``;
            default the head's own, else a fixed table (``ClassTable``). Its tower is the encoder's.
        pretrained: Whether to load the weights that the encoder's config names; they are downloaded
            on first use. False draws random weights.
        checkpoint: File of the encoder's weights, in place of these.
        init_seed: Seed of random weights, for tests.
        size: Side of the images, or (H, W), for the encoder's stored grid of positions; other sizes
            are taken too.
        test_cfg: How whole images are predicted by other tools: ``dict(mode='whole')``, or windows
            (``mode='slide'``, ``crop_size``, ``stride``).
        activation_checkpointing: Computes each block again in the backward pass.

    Raises:
        UserError: If a name is unknown, parts do not fit, or weights are missing.

    Example:
        >>> import torch
        >>> import rein_seg
        >>> model = rein_seg.build_model('vit_tiny', 'LoRA', 'linear', classes=['road', 'sky'])
        >>> images = torch.randint(256, (1, 3, 33, 50), dtype=torch.uint8)
        >>> model(images).shape
        torch.Size([1, 2, 33, 50])
        >>> list(model.loss(images, torch.zeros(1, 33, 50, dtype=torch.long)))
        ['decode.loss_ce']
    """
    names = _names(num_classes, classes)
    described = encoder_config(
        encoder, pretrained=pretrained, checkpoint=checkpoint, init_seed=init_seed, size=size
    )
    cfg = model_config(
        described,
        peft,
        head,
        classes=names,
        palette=palette,
        text=text,
        test_cfg=test_cfg,
        activation_checkpointing=activation_checkpointing,
    )
    init_default_scope('mmseg')  # names of losses are looked up in it
    return BuiltModel(MODELS.build(cfg.model), cfg)


def build_backbone(
    encoder: str | Mapping[str, Any] = 'dinov2_large',
    peft: Peft = 'Rein',
    *,
    pretrained: bool = True,
    checkpoint: str | Path | None = None,
    init_seed: int | None = None,
    size: int | Sequence[int] | None = None,
    activation_checkpointing: bool = False,
) -> BuiltBackbone:
    """Builds a frozen encoder with a method as a plain module that gives `Features`.

    ``backbone(images).maps`` is a tuple of (B, C, H_i, W_i) maps. Images are as for `build_model`,
    with sides that are multiples of the encoder's patch. A method makes queries only with
    ``link_to_queries=True``.

    Args:
        encoder: As for `build_model`.
        peft: As for `build_model`.
        pretrained: As for `build_model`.
        checkpoint: As for `build_model`.
        init_seed: As for `build_model`.
        size: As for `build_model`.
        activation_checkpointing: As for `build_model`.

    Raises:
        UserError: If a name is unknown, or weights are missing.

    Example:
        >>> import torch
        >>> import rein_seg
        >>> backbone = rein_seg.build_backbone('vit_tiny', dict(type='LoRA', rank=4))
        >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 64, 128)).maps]
        [(1, 192, 8, 16), (1, 192, 8, 16), (1, 192, 8, 16), (1, 192, 8, 16)]
        >>> backbone.out_channels
        (192, 192, 192, 192)
    """
    described = encoder_config(
        encoder, pretrained=pretrained, checkpoint=checkpoint, init_seed=init_seed, size=size
    )
    method = method_config(peft)
    saving = activation_checkpointing
    return BuiltBackbone(PEFTBackbone(described, method, activation_checkpointing=saving))


def _names(num_classes: int | None, classes: Sequence[str] | None) -> Sequence[str]:
    if classes is None:
        count = 19 if num_classes is None else num_classes
        if isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise UserError(f'num_classes={count!r}: expected 2 or more; the background counts')
        return [f'class {i}' for i in range(count)]
    if num_classes is not None and num_classes != len(classes):
        raise UserError(
            f'num_classes={num_classes}, but classes has {len(classes)} names: leave num_classes '
            'out'
        )
    return classes
