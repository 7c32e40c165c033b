"""SAM's mask decoder as a decode head: one foreground class, or several classes.

B batch, Q mask tokens, C channels, K classes, h x w grid of the image embedding, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.checkpoint import load_strict, read_weights
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders import locate
from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, Output, pixel_losses
from rein_seg.heads.mask2former.losses import Draws, SetLoss
from rein_seg.heads.mask2former.masks import combine
from rein_seg.heads.sam.decoder import Decoded, MaskDecoder
from rein_seg.heads.sam.weights import convert_decoder
from rein_seg.structures import Features

# matching costs of Mask2Former; weights of the losses as in the code of Conv-LoRA
SET_LOSS = dict(
    class_weight=1.0,
    mask_weight=1.0,
    dice_weight=1.0,
    cost_weights=(2.0, 5.0, 5.0),
    leave_out_ignored=True,
)


@MODELS.register_module()
class SAMHead(DecodeHead, BaseModule):
    """Decodes masks from the last map, the output of SAM's neck, without any prompt.

    With one foreground class (two classes, one output channel) a single token gives the mask: the
    logit of the foreground. With several classes every token predicts a class and a mask, which are
    matched with the classes of the image as in Mask2Former. Tokens loaded from SAM's weights start
    equal; the matching makes them different.

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        num_classes: K with the background; filled in by the segmentor.
        in_index: Filled in by the segmentor. The head reads the last of these maps.
        out_channels: 1 for one foreground class, else K. Defaults to 1 if K is 2.
        num_tokens: Q. Defaults to 1 for one foreground class, else to 100.
        checkpoint: Official file of SAM to start from; None starts from random weights. Filled in
            by the segmentor with the encoder's file.
        decoder: Further arguments of `MaskDecoder`, such as ``dict(norm_eps=1e-5)``.
        loss_decode: Loss, or list of losses, of one foreground class; default `StructureLoss`.
        set_loss: Arguments of `SetLoss`, for several classes. Defaults here: loss weights 1, 1, 1,
            cost weights 2, 5, 5, ignored pixels left out.
        threshold: Probability above which a pixel is foreground.
        ignore_index: Label of pixels without a class.

    Shapes:
        last map (B, C, h, w) -> `Decoded`; `predict` -> (B, 1, H, W) logits of the foreground, or
        (B, K, H, W) scores: sums of class probability times mask probability.

    Raises:
        UserError: If arguments contradict each other, or the checkpoint does not fit.

    Source: Zhong et al., "Convolution Meets LoRA" (ICLR 2024), Sec. 3.3; Kirillov et al., ICCV
    2023. Differs from it: ignored pixels are left out of the set losses, which fail on them in the
    published code; their normaliser counts at least one mask for an image, and at most as many
    classes as tokens; points are sampled from masks of 4 h x 4 w, not from masks resized to the
    image.

    Example:
        >>> import torch
        >>> from rein_seg.heads import SAMHead
        >>> from rein_seg.structures import Features
        >>> head = SAMHead([16], num_classes=2, decoder=dict(num_heads=2, hidden=16))
        >>> features = Features(maps=(torch.randn(1, 16, 4, 6),))
        >>> head.sigmoid, head.predict(features, (64, 96)).shape
        (True, torch.Size([1, 1, 64, 96]))
        >>> list(head.loss(features, torch.ones(1, 64, 96, dtype=torch.long)))
        ['loss_structure']
    """

    filled_in = (*DecodeHead.filled_in, 'checkpoint')

    def __init__(
        self,
        in_channels: Sequence[int] | int,
        *,
        num_classes: int,
        in_index: Sequence[int] | int | None = None,
        out_channels: int | None = None,
        num_tokens: int | None = None,
        checkpoint: str | None = None,
        decoder: Mapping[str, Any] | None = None,
        loss_decode: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        set_loss: Mapping[str, Any] | None = None,
        threshold: float = 0.5,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if out_channels is None:
            out_channels = 1 if num_classes == 2 else num_classes
        in_channels = [in_channels] if isinstance(in_channels, int) else in_channels
        binary = out_channels == 1
        _check_outputs(num_classes, out_channels)
        _check_losses(binary, loss_decode, set_loss, num_tokens)
        _check_numbers(num_tokens, threshold, decoder)
        if in_index is None:
            in_index = len(in_channels) - 1
        self.in_index = in_index if isinstance(in_index, int) else in_index[-1]
        self.num_classes, self.out_channels = num_classes, out_channels
        self.threshold, self.ignore_index = threshold, ignore_index
        self.output: Output = 'logits' if binary else 'scores'
        self.decoder = MaskDecoder(
            in_channels[-1],
            num_tokens or (1 if binary else 100),
            num_classes=0 if binary else num_classes,
            **(decoder or {}),
        )
        self.decoder.iou_prediction_head.requires_grad_(False)
        if binary:
            losses = loss_decode or dict(type='StructureLoss')
            losses = [losses] if isinstance(losses, Mapping) else losses
            self.loss_decode = nn.ModuleList(MODELS.build(dict(loss)) for loss in losses)
        else:
            self.set_loss = SetLoss(num_classes, **{**SET_LOSS, **(set_loss or {})})
        if checkpoint is not None:
            self._load(checkpoint)

    def forward(self, features: Features) -> Decoded:
        """Returns tokens and mask logits (B, Q, 4h, 4w)."""
        return self.decoder(features.maps[self.in_index])

    def classify(self, decoded: Decoded) -> Tensor:
        """Returns the (B, Q, K+1) class logits of the mask tokens; K is "no object"."""
        return self.decoder.output_classifier_mlps(decoded.tokens[:, 1:])

    def loss(
        self, features: Features, labels: Tensor, draws: Draws | None = None
    ) -> dict[str, Tensor]:
        """Returns the losses of ``loss_decode`` or of `SetLoss` by name."""
        decoded = self(features)
        if self.out_channels == 1:
            logits = resize(decoded.masks, tuple(labels.shape[-2:]))
            return pixel_losses(partial(self._compare, logits), labels, self.ignore_index)
        classes, masks = self.classify(decoded)[None], decoded.masks[None]
        return self.set_loss(classes, masks, self.without_ignored(labels), draws)

    def _compare(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for loss in self.loss_decode:
            value = loss(logits, labels, ignore_index=self.ignore_index)
            losses[loss.loss_name] = losses.get(loss.loss_name, 0) + value
        return losses

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, 1, H, W) logits of the foreground, or (B, K, H, W) scores."""
        decoded = self(features)
        if self.out_channels == 1:
            # float32: a smooth edge in bfloat16 has a few hundred values only
            return resize(decoded.masks.float(), size)
        return combine(self.classify(decoded).softmax(-1)[..., :-1], decoded.masks, size)

    def _load(self, checkpoint: str) -> None:
        if torch.empty(0).is_meta:  # a model without values, built to count parameters
            return
        what = 'mask decoder'
        checkpoint = locate(checkpoint, what=what, key='model.decode_head.checkpoint')
        state = read_weights(checkpoint)
        with fitting(f'{what} from {checkpoint!r}'):
            converted = convert_decoder(self.decoder, state)
        tensors = converted.tensors
        report = load_strict(self.decoder, tensors, what=what, source=checkpoint, file=state)
        print_log(f'{report} ({converted})', logger='current')


def resize(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns (B, Q, H, W) of (B, Q, h, w), bilinearly."""
    return F.interpolate(masks, size=size, mode='bilinear', align_corners=False)


def _check_outputs(num_classes: int, out_channels: int) -> None:
    if out_channels not in (1, num_classes) or not 2 <= num_classes <= 254:
        raise UserError(
            f'SAMHead: out_channels={out_channels} with num_classes={num_classes}; expected 1 '
            '(one foreground class: num_classes=2 with the background) or num_classes, which is '
            '2 to 254'
        )
    if out_channels == 1 and num_classes != 2:
        raise UserError(
            f'SAMHead: out_channels=1 tells one class from the background, but num_classes='
            f'{num_classes}; leave out_channels out'
        )


def _check_numbers(num_tokens: int | None, threshold: float, decoder: Any) -> None:
    if num_tokens is not None and num_tokens < 1:
        raise UserError(f'SAMHead: num_tokens={num_tokens}, expected at least 1, or None')
    if not 0 < threshold < 1:
        raise UserError(f'SAMHead: threshold={threshold}, expected a probability in 0..1')
    elsewhere = sorted({'num_tokens', 'num_classes', 'embed_dims'} & set(decoder or {}))
    if elsewhere:
        raise UserError(
            f'SAMHead: decoder sets {elsewhere}: num_tokens is an argument of the head, the others '
            'are read from the benchmark and the encoder'
        )


def _check_losses(binary: bool, loss_decode: Any, set_loss: Any, num_tokens: int | None) -> None:
    if binary and (set_loss is not None or num_tokens not in (None, 1)):
        raise UserError(
            'SAMHead with one foreground class has one mask token and no set loss: leave out '
            f'num_tokens={num_tokens} and set_loss={set_loss}, choose a loss with loss_decode, or '
            'give the background a mask of its own with out_channels=2'
        )
    losses = [loss_decode] if isinstance(loss_decode, Mapping) else loss_decode or []
    for loss in losses if binary else []:
        if loss.get('type') == 'CrossEntropyLoss' and not loss.get('use_sigmoid', False):
            raise UserError(
                'SAMHead has one output channel here, of which a softmax is 1 everywhere: set '
                'use_sigmoid=True in CrossEntropyLoss, or use StructureLoss'
            )
    if not binary and loss_decode is not None:
        raise UserError(
            'SAMHead with several classes matches masks with classes, so loss_decode='
            f'{loss_decode} has no effect: remove it; set_loss takes the arguments of SetLoss'
        )
