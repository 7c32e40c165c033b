"""Heads of mmsegmentation behind the contract of a head.

B batch, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads.dpt_head import DPTHead
from mmseg.models.decode_heads.fpn_head import FPNHead
from mmseg.models.decode_heads.sep_aspp_head import DepthwiseSeparableASPPHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, HeadInputs, Index, Reads, pixel_losses
from rein_seg.structures import Features


class MMSegHead(DecodeHead):
    """Presents a head of mmsegmentation as a `DecodeHead`; it reads the maps, no queries.

    DPTHead reads pairs of a map and its class token, the first prefix token.

    It is no module, so the head's parameters keep their names. It holds no state of its own:
    `as_head` makes a new adapter for every use.

    Args:
        module: The head.
        train_cfg: Handed to the head's ``loss``.
        test_cfg: Handed to the head's ``predict``.

    Example:
        >>> import torch
        >>> from mmseg.models import FCNHead
        >>> from rein_seg.heads.mmseg_head import MMSegHead
        >>> from rein_seg.structures import Features
        >>> fcn = FCNHead(in_channels=8, channels=4, num_convs=1, num_classes=3)
        >>> head, features = MMSegHead(fcn), Features(maps=(torch.randn(2, 8, 4, 4),))
        >>> sorted(head.loss(features, torch.zeros(2, 64, 64, dtype=torch.long)))
        ['acc_seg', 'loss_ce']
        >>> head.predict(features, (64, 64)).shape
        torch.Size([2, 3, 64, 64])
    """

    def __init__(self, module: BaseDecodeHead, train_cfg: Any = None, test_cfg: Any = None) -> None:
        self.module, self.train_cfg, self.test_cfg = module, train_cfg, test_cfg
        self.num_classes, self.out_channels = module.num_classes, module.out_channels
        self.ignore_index, self.align_corners = module.ignore_index, module.align_corners
        if module.threshold is not None:  # None with a channel for each class
            self.threshold = module.threshold

    @property
    def reads_prefix(self) -> Reads:  # type: ignore[override]
        """Whether DPTHead joins the class token with the patches."""
        return 'if_there' if _readout(self.module) else False

    def __call__(self, features: Features) -> Any:
        """Returns the head's own result."""
        return self.forward(features)

    def inputs(self, features: Features) -> tuple[Any, ...]:
        """Returns the maps, in the form that the head reads.

        Raises:
            UserError: If DPTHead joins class tokens and the encoder has none.
        """
        if not isinstance(self.module, DPTHead):
            return features.maps
        readout, tokens = _readout(self.module), features.prefix
        if not readout:
            return tuple((each, None) for each in features.maps)
        if tokens is None or any(each.shape[1] == 0 for each in tokens):
            raise UserError(
                f'DPTHead readout_type={readout!r} joins the class token with the patches, and the '
                "encoder has none: set decode_head.readout_type='ignore'"
            )
        return tuple((x, each[:, 0]) for x, each in zip(features.maps, tokens, strict=True))

    def forward(self, features: Features) -> Any:
        """Returns the head's own result: logits, or a tuple of them."""
        return self.module(self.inputs(features))

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of ``loss_decode`` by name, and the accuracy ``acc_seg`` (%)."""
        inputs = self.inputs(features)
        return pixel_losses(
            lambda known: self.module.loss(inputs, as_samples(known), self.train_cfg),
            labels,
            self.ignore_index,
        )

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, ``out_channels``, H, W) logits."""
        metas = as_metas(size, len(features.maps[0]))
        return self.module.predict(self.inputs(features), metas, self.test_cfg)


class LogitsHead(DecodeHead, BaseDecodeHead):
    """The base of heads of our own on mmseg's base class, whose `forward` returns logits.

    Source: mmsegmentation's ``BaseDecodeHead``: losses, accuracy and resizing are its.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mmseg_head import LogitsHead
        >>> from rein_seg.structures import Features
        >>> class PlainHead(LogitsHead):
        ...     def forward(self, features):
        ...         return self.conv_seg(features.maps[0])
        >>> head = PlainHead(8, channels=8, num_classes=3)
        >>> head.predict(Features(maps=(torch.zeros(2, 8, 4, 4),)), (64, 64)).shape
        torch.Size([2, 3, 64, 64])
    """

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of ``loss_decode`` by name, and the accuracy ``acc_seg`` (%)."""
        logits = self(features)
        return pixel_losses(
            lambda known: self.loss_by_feat(logits, as_samples(known)), labels, self.ignore_index
        )

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) logits."""
        return self.predict_by_feat(self(features), as_metas(size, len(features.maps[0])))


def as_head(module: nn.Module, train_cfg: Any = None, test_cfg: Any = None) -> DecodeHead:
    """Returns a built head as a `DecodeHead`: itself, or a head of mmseg in its adapter.

    Args:
        module: The head.
        train_cfg: For heads of mmseg.
        test_cfg: For heads of mmseg.

    Raises:
        UserError: As `check_head`.
    """
    check_head(type(module))
    return module if isinstance(module, DecodeHead) else MMSegHead(module, train_cfg, test_cfg)


def check_head(cls: type) -> None:
    """Checks that a class is a head that can be used here.

    Args:
        cls: Of the head.

    Raises:
        UserError: If it is neither a `DecodeHead` nor a head of mmseg, or needs the result of
            another head.
    """
    if issubclass(cls, BaseCascadeDecodeHead):
        raise UserError(
            f'decode head {cls.__name__!r} refines the result of another head: give both to '
            f"type='CascadeHead', heads=[dict(type='FCNHead', ...), dict(type={cls.__name__!r}, "
            '...)], or use a head that reads maps alone, such as UPerHead'
        )
    if not issubclass(cls, (DecodeHead, BaseDecodeHead)):
        raise UserError(
            f'decode head {cls.__name__!r} is no DecodeHead of rein_seg and no BaseDecodeHead of '
            'mmseg: subclass either (rein_seg.heads.contract says how)'
        )


def check_strides(cls: type, cfg: Mapping[str, Any], in_index: Index) -> None:
    """Checks that mmseg's head of feature pyramids has a stride for each map.

    Args:
        cls: Of the head.
        cfg: Its config.
        in_index: Maps that the head reads.

    Raises:
        UserError: If their numbers differ.
    """
    strides = cfg.get('feature_strides')
    maps = 1 if isinstance(in_index, int) else len(in_index)
    if issubclass(cls, FPNHead) and strides is not None and len(strides) != maps:
        raise UserError(
            f'{cls.__name__} has feature_strides={list(strides)} for {maps} '
            f'map{"s" * (maps != 1)}: expected a stride for each map; choose {len(strides)} '
            'out_indices of the encoder, for a plain transformer '
            'model.neck=dict(type="TokenPyramid"), or give other feature_strides'
        )


def check_tokens(cls: type, inputs: HeadInputs, in_index: Index) -> None:
    """Checks that mmseg's DPTHead, which makes its own pyramid, reads four maps of one size.

    Args:
        cls: Of the head.
        inputs: The facts.
        in_index: Maps that the head reads.

    Raises:
        UserError: If there are not four, they are of several widths or strides, or behind a neck.
    """
    if not issubclass(cls, DPTHead):
        return
    strides, one = inputs.strides, len(set(inputs.channels)) == 1
    four = len(inputs.channels) == 4 and not isinstance(in_index, int) and len(in_index) == 4
    if not (four and one and strides is not None and len(set(strides)) == 1):
        given = 'behind a neck' if strides is None else f'of strides {list(strides)}'
        raise UserError(
            f'DPTHead makes a pyramid of its own from four maps of one width and stride, and got '
            f'maps of {list(inputs.channels)} channels, {given}: take a plain vision transformer '
            'with four out_indices, without a neck'
        )


def further_arguments(cls: type, inputs: HeadInputs, in_index: Index) -> dict[str, Any]:
    """Returns facts that only some heads of mmseg take, as constructor arguments.

    Args:
        cls: Of the head.
        inputs: The facts.
        in_index: Maps that the head reads.

    Example:
        >>> from mmseg.models.decode_heads import DepthwiseSeparableASPPHead
        >>> from rein_seg.heads.contract import HeadInputs
        >>> from rein_seg.heads.mmseg_head import further_arguments
        >>> inputs = HeadInputs(channels=(8, 16), strides=(4, 8), num_classes=3)
        >>> further_arguments(DepthwiseSeparableASPPHead, inputs, 1)
        {'c1_in_channels': 8}
    """
    if issubclass(cls, DepthwiseSeparableASPPHead):
        return {'c1_in_channels': inputs.channels[0]}
    if issubclass(cls, DPTHead):
        return {'embed_dims': inputs.channels[0], 'input_transform': 'multiple_select'}
    if issubclass(cls, FPNHead) and inputs.strides is not None:
        return {'feature_strides': inputs.arguments(in_index)['in_strides']}
    return {}


def _readout(module: nn.Module) -> str:
    """Returns how DPTHead joins class tokens; empty where nothing does."""
    kind = module.reassemble_blocks.readout_type if isinstance(module, DPTHead) else 'ignore'
    return '' if kind == 'ignore' else kind


def as_samples(labels: Tensor) -> list[SegDataSample]:
    """Returns (B, H, W) labels as mmseg's data samples."""
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


def as_metas(size: tuple[int, int], batch: int) -> list[Mapping[str, Any]]:
    """Returns mmseg's image metas that ask for predictions in this (H, W)."""
    # a Size: mmseg takes a plain tuple for the image's shape and looks for another, padded one
    return [{'img_shape': torch.Size(size)}] * batch
