"""The decode head of DuAT, for any encoder with four maps.

B batch, C_i channels of the maps, D width, K classes, H x W image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.checkpoint import load_strict, read_weights
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders import locate
from rein_seg.errors import UserError
from rein_seg.heads.binary_losses import BinaryLoss
from rein_seg.heads.contract import DecodeHead, pixel_losses
from rein_seg.heads.duat.blocks import GLSA, SBA, ConvNormReLU, resize
from rein_seg.heads.duat.weights import convert_duat
from rein_seg.structures import Features

LEVELS = 4


@MODELS.register_module()
class DuATHead(DecodeHead, BaseModule):
    """Predicts twice: from three aggregated maps, and from their exchange with the finest map.

    `GLSA` refines the maps 2, 3 and 4. Their concatenation gives p1, at the size of map 2. `SBA`
    exchanges the maps 3 and 4 with map 1, and gives p2, at the size of map 1. A prediction is
    p1 + p2; each has a loss of its own. Maps of any size do, so a `TokenPyramid` serves plain
    vision transformers.

    Args:
        in_channels: C_i of the four maps, fine to coarse; filled in by the segmentor.
        num_classes: K with the background; filled in by the segmentor.
        in_index: The four maps to read; filled in by the segmentor.
        channels: D, even.
        out_channels: 1 for one foreground class, else K. Defaults to 1 if K is 2.
        loss_decode: Loss, or list of losses, of p1 and of p2. Defaults to `StructureLoss` with
            ``bce='weighted'`` for one channel, else to the cross-entropy.
        checkpoint: Official file of DuAT to start the decoder from, or None. The encoder takes the
            same file as its own ``checkpoint``.
        threshold: Probability above which a pixel is foreground, with one channel.
        ignore_index: Label of pixels without a class.

    Shapes:
        `Features` with maps (B, C_i, H_i, W_i) -> p1 (B, K, H_2, W_2), p2 (B, K, H_1, W_1).

    Raises:
        UserError: If there are not four maps, a width is odd, arguments contradict each other, or
            the checkpoint does not fit.

    Source: Tang et al., "DuAT: Dual-Aggregation Transformer Network for Medical Image Segmentation"
    (PRCV 2023), Sec. 3. Differs from it: p1 and p2 are resized to the image, which makes no
    difference for sides that are multiples of 32; several classes are ours.

    Example:
        >>> import torch
        >>> from rein_seg.heads import DuATHead
        >>> from rein_seg.structures import Features
        >>> head = DuATHead([8, 12, 16, 20], num_classes=2, channels=8)
        >>> maps = [torch.randn(2, c, 16 >> i, 24 >> i) for i, c in enumerate([8, 12, 16, 20])]
        >>> features = Features(maps=tuple(maps))
        >>> [tuple(p.shape) for p in head(features)]
        [(2, 1, 8, 12), (2, 1, 16, 24)]
        >>> sorted(head.loss(features, torch.ones(2, 64, 96, dtype=torch.long)))
        ['p1.loss_structure', 'p2.loss_structure']
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        num_classes: int,
        in_index: Sequence[int] | None = None,
        channels: int = 32,
        out_channels: int | None = None,
        loss_decode: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        checkpoint: str | None = None,
        threshold: float = 0.5,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if out_channels is None:
            out_channels = 1 if num_classes == 2 else num_classes
        in_channels = [in_channels] if isinstance(in_channels, int) else list(in_channels)
        _check(in_channels, channels, out_channels, num_classes, threshold)
        self.in_index = tuple(range(LEVELS) if in_index is None else in_index)
        self.num_classes, self.out_channels = num_classes, out_channels
        self.threshold, self.ignore_index = threshold, ignore_index
        first, *others = in_channels
        self.GLSA_c2, self.GLSA_c3, self.GLSA_c4 = (GLSA(c, channels) for c in others)
        self.L_feature = ConvNormReLU(first, channels, kernel=3)
        self.fuse = ConvNormReLU(2 * channels, channels)
        self.fuse2 = nn.Sequential(
            ConvNormReLU(3 * channels, channels), nn.Conv2d(channels, out_channels, 1, bias=False)
        )
        self.SBA = SBA(channels, out_channels)
        losses = loss_decode or _default_loss(out_channels)
        losses = [losses] if isinstance(losses, Mapping) else losses
        self.loss_decode = nn.ModuleList(MODELS.build(dict(loss)) for loss in losses)
        _check_losses(self.loss_decode, out_channels)
        if checkpoint is not None:
            self._load(checkpoint)

    def forward(self, features: Features) -> tuple[Tensor, Tensor]:
        """Returns p1 at the size of the second map, and p2 at the size of the first.

        Raises:
            UserError: If batch norms would train on a single position.
        """
        c1, c2, c3, c4 = maps = [features.maps[i] for i in self.in_index]
        if self.training:
            _check_positions(maps)
        g2, g3, g4 = self.GLSA_c2(c2), self.GLSA_c3(c3), self.GLSA_c4(c4)
        g4 = resize(g4, g3)
        p1 = self.fuse2(torch.cat([resize(g4, g2), resize(g3, g2), g2], dim=1))
        high = resize(self.fuse(torch.cat([g4, g3], dim=1)), g2)
        return p1, self.SBA(high, self.L_feature(c1))

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of ``loss_decode`` of p1 and of p2, by name.

        Args:
            features: Of a batch.
            labels: (B, H, W) int64.

        Raises:
            UserError: If a label is no class.
        """
        _check_labels(labels, self.num_classes, self.ignore_index)
        logits = self._in_size(features, tuple(labels.shape[-2:]))
        return pixel_losses(partial(self._compare, logits), labels, self.ignore_index)

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, ``out_channels``, H, W) logits p1 + p2."""
        p1, p2 = self._in_size(features, size)
        return p1 + p2

    def _in_size(self, features: Features, size: tuple[int, ...]) -> list[Tensor]:
        # float32: a smooth edge in bfloat16 has a few hundred values only
        return [
            F.interpolate(p.float(), size=size, mode='bilinear', align_corners=False)
            for p in self(features)
        ]

    def _compare(self, logits: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for number, predicted in enumerate(logits, start=1):
            for loss in self.loss_decode:
                name = f'p{number}.{loss.loss_name}'
                value = loss(predicted, labels, ignore_index=self.ignore_index)
                losses[name] = losses.get(name, 0) + value
        return losses

    def _load(self, checkpoint: str) -> None:
        if torch.empty(0).is_meta:  # a model without values, built to count parameters
            return
        what = "DuAT's decoder"
        checkpoint = locate(checkpoint, what=what, key='model.decode_head.checkpoint')
        state = read_weights(checkpoint)
        with fitting(f'{what} from {checkpoint!r}'):
            converted = convert_duat(state)
        report = load_strict(self, converted.tensors, what=what, source=checkpoint, file=state)
        print_log(f'{report} ({converted})', logger='current')


def _default_loss(out_channels: int) -> dict[str, Any]:
    if out_channels == 1:
        return dict(type='StructureLoss', bce='weighted')
    return dict(type='CrossEntropyLoss', avg_non_ignore=True)


def _check(
    in_channels: Sequence[int],
    channels: int,
    out_channels: int,
    num_classes: int,
    threshold: float,
) -> None:
    if len(in_channels) != LEVELS:
        raise UserError(
            f'DuATHead reads four maps, fine to coarse, and got {len(in_channels)}: choose four '
            "out_indices of the encoder, and for a plain transformer neck=dict(type='TokenPyramid')"
        )
    odd = [c for c in (*in_channels[1:], channels) if c % 2 or c < 2]
    if odd:
        raise UserError(
            f'DuATHead splits channels in two halves, and {odd[0]} is odd: give the maps an even '
            'width (out_channels of the neck), and the head an even channels, such as 32'
        )
    if out_channels not in (1, num_classes) or (out_channels == 1 and num_classes != 2):
        raise UserError(
            f'DuATHead: out_channels={out_channels} with num_classes={num_classes}; expected '
            'num_classes, or 1 for one foreground class of two: leave out_channels out'
        )
    if not 0 < threshold < 1:
        raise UserError(f'DuATHead: threshold={threshold}, expected a probability in 0..1')


def _check_losses(losses: Iterable[nn.Module], out_channels: int) -> None:
    for loss in losses:
        softmax = isinstance(loss, CrossEntropyLoss) and not (loss.use_sigmoid or loss.use_mask)
        if softmax and out_channels == 1:
            raise UserError(
                'DuATHead has one output channel here, of which a softmax is 1 everywhere: set '
                'use_sigmoid=True in CrossEntropyLoss, use StructureLoss, or out_channels=2'
            )
        if isinstance(loss, BinaryLoss) and out_channels > 1:
            raise UserError(
                f'DuATHead has {out_channels} output channels here, and {type(loss).__name__} is '
                'of one foreground class: leave loss_decode out, which gives the cross-entropy'
            )


def _check_positions(maps: Sequence[Tensor]) -> None:
    batch, _, height, width = min(maps[1:], key=lambda one: one.shape[-2:].numel()).shape
    if batch * height * width < 2:
        raise UserError(
            f'DuATHead trains batch norms on maps down to {height}x{width}, of {batch} image: '
            'expected two positions or more; take two images in a batch, or a larger crop_size'
        )


def _check_labels(labels: Tensor, num_classes: int, ignore_index: int) -> None:
    known = labels.masked_fill(labels == ignore_index, 0)
    if known.numel() and not 0 <= int(known.min()) <= int(known.max()) < num_classes:
        raise UserError(
            f'DuATHead: labels go up to {int(known.max())}, expected classes 0 to '
            f'{num_classes - 1} and {ignore_index}: set num_classes, or map them with label_map'
        )
