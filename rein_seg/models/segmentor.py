"""Features -> neck -> head, whole or in batches of windows.

B batch, K classes, H x W image, h x w window.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor, EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.registry import PEFT_METHODS, describe_method
from rein_seg.structures import Features

Window = tuple[int, int, int, int]


@MODELS.register_module()
class PEFTSegmentor(EncoderDecoder):
    """A `PEFTBackbone`, an optional neck and a decode head, as a mmseg segmentor.

    Sizes are typed once, in the encoder: ``in_channels`` of neck and heads (and ``in_index``,
    ``query_dims`` where the head takes `Features`) are filled in, and the image normalisation is
    the encoder's.

    Args:
        backbone: Config of the backbone.
        decode_head: Config of the head.
        num_classes: K of every head.
        crop_size: (h, w) that training batches are padded to; None does not pad.
        neck: Config of the neck.
        auxiliary_head: Config or list of configs of auxiliary heads, on the maps.
        train_cfg: As in mmseg.
        test_cfg: ``mode`` whole or slide; with slide ``crop_size`` and ``stride`` (h, w) in pixels
            and ``batch_windows``, how many windows go through at once (default 4);
            ``keep_logits`` keeps (K, H, W) logits in the results; ``keep_scores`` the probability
            of the foreground, of two classes, as ``pred_scores``.
        data_preprocessor: Overrides the one made from the encoder's normalisation.

    Raises:
        UserError: If the method makes queries that the head does not take, a given ``in_channels``
            differs from the encoder's, ``test_cfg`` is not one of the two modes, or there is no
            one foreground to keep scores of.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        *,
        num_classes: int,
        crop_size: Sequence[int] | None = None,
        neck: Mapping[str, Any] | None = None,
        auxiliary_head: Mapping[str, Any] | list | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        built = MODELS.build(_with_num_classes(backbone, num_classes))
        if data_preprocessor is None:
            data_preprocessor = _preprocessor(built.encoder_info, crop_size)
        BaseSegmentor.__init__(self, data_preprocessor=dict(data_preprocessor), init_cfg=init_cfg)
        self.backbone = built
        channels, strides = built.out_channels, built.anatomy.out_strides
        if neck is not None:
            self.neck = MODELS.build({'in_channels': channels, **neck})
            channels, strides = self.neck.out_channels, None
        self._channels, self._strides, self._num_classes = channels, strides, num_classes
        self._weights_file = backbone['encoder'].get('checkpoint')
        self.decode_head = self._build_head(decode_head)
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.out_channels = self.decode_head.out_channels
        if auxiliary_head is not None:
            many = auxiliary_head if isinstance(auxiliary_head, list) else [auxiliary_head]
            self.auxiliary_head = nn.ModuleList(self._build_head(head) for head in many)
        self.train_cfg = train_cfg
        self.set_test_cfg(test_cfg)
        if built.query_dims is not None and not _takes_features(self.decode_head):
            raise UserError(
                f'{type(built.peft).__name__} makes queries, but decode head '
                f'{decode_head["type"]!r} takes none, so they would never train: use a head that '
                'does (LinearHead), or model.backbone.peft.link_to_queries=False'
            )

    @property
    def identity(self) -> dict[str, Any]:
        """What weights must share with this model: method, encoder and number of classes."""
        identity = {
            'method': describe_method(self.backbone.peft_cfg),
            'encoder': self.backbone.encoder_info.identity,
            'num_classes': self.num_classes,
        }
        # plain values: a checkpoint with config objects in it could not be read back safely
        return json.loads(json.dumps(identity, default=str))

    def set_test_cfg(self, test_cfg: Mapping[str, Any] | None) -> None:
        """Takes other windows, after checking them; see the class's ``test_cfg``."""
        self.test_cfg = _checked_test_cfg(test_cfg, self.num_classes)

    def extract_feat(self, inputs: Tensor) -> Features:
        """Returns the features after the neck."""
        features = self.backbone(inputs)
        return (
            replace(features, maps=tuple(self.neck(features.maps))) if self.with_neck else features
        )

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Returns (B, K, H, W) logits of normalised images."""
        features = self.extract_feat(inputs)
        given = _given(self.decode_head, features)
        # the size of what went in: a head would take the size of the padded image for a window's
        size = torch.Size(inputs.shape[-2:])
        metas = [dict(meta, img_shape=size, pad_shape=size) for meta in batch_img_metas]
        logits = self.decode_head.predict(given, metas, self.test_cfg)
        # one channel goes through a sigmoid: in bfloat16 a dozen values would be left of it
        return logits.float() if self.out_channels == 1 else logits

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Returns the losses of head (``decode``), others (``aux_i``), method (``peft``)."""
        features = self.extract_feat(inputs)
        heads = {'decode': self.decode_head}
        if self.with_auxiliary_head:
            heads |= {f'aux_{i}': head for i, head in enumerate(self.auxiliary_head)}
        losses: dict[str, Tensor] = {}
        for name, head in heads.items():
            each = head.loss(_given(head, features), data_samples, self.train_cfg)
            losses.update(add_prefix(each, name))
        method = self.backbone.peft
        labels = torch.stack([sample.gt_sem_seg.data.squeeze(0) for sample in data_samples]).long()
        ignored = self.decode_head.ignore_index
        losses.update(add_prefix(method.aux_losses(), 'peft'))
        losses.update(add_prefix(method.label_losses(labels, ignore_index=ignored), 'peft'))
        return losses

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Tensor:
        return self.decode_head(_given(self.decode_head, self.extract_feat(inputs)))

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Returns (B, K, H, W) logits: the mean over the windows that cover a pixel.

        Equal to mmseg's loop over single windows. A side shorter than the crop makes smaller
        windows, padded to what the encoder divides them into; the last window of a row or column
        is pulled back to the border.
        """
        shown = inputs.shape[-2:]
        inputs = self._pad_short_sides(inputs)
        batch, _, height, width = inputs.shape
        windows = slide_windows(
            (height, width), self.test_cfg['crop_size'], self.test_cfg['stride']
        )
        logits = inputs.new_zeros(batch, self.out_channels, height, width)
        count = inputs.new_zeros(height, width)
        at_once = max(1, int(self.test_cfg.get('batch_windows', 4)) // batch)
        for start in range(0, len(windows), at_once):
            chunk = windows[start : start + at_once]
            crops = torch.cat([inputs[:, :, y0:y1, x0:x1] for y0, y1, x0, x1 in chunk])
            scores = self.encode_decode(crops, batch_img_metas * len(chunk))
            for (y0, y1, x0, x1), score in zip(chunk, scores.split(batch), strict=True):
                logits[:, :, y0:y1, x0:x1] += score
                count[y0:y1, x0:x1] += 1
        return logits.div_(count)[..., : shown[0], : shown[1]]

    def _pad_short_sides(self, inputs: Tensor) -> Tensor:
        """Pads sides shorter than the crop with the mean colour, to multiples of the patch."""
        divisor = self.backbone.anatomy.divisor
        height, width = (
            -side % divisor if side < crop else 0
            for side, crop in zip(inputs.shape[-2:], self.test_cfg['crop_size'], strict=True)
        )
        return F.pad(inputs, (0, width, 0, height)) if height or width else inputs

    def postprocess_result(self, seg_logits: Tensor, data_samples: list | None = None) -> list:
        """Returns samples with ``pred_sem_seg``; more only as ``test_cfg`` says.

        As mmseg's, which resizes also to the size that is there, all classes at once, and finds the
        best one along the slow axis.
        """
        samples = data_samples or [SegDataSample() for _ in seg_logits]
        kept = self.test_cfg.get('keep_scores', False) or self.test_cfg.get('keep_logits', False)
        for logits, sample in zip(seg_logits, samples, strict=True):
            size = tuple(logits.shape[1:])
            if data_samples is not None:
                logits = _unpadded(logits, sample.metainfo)
                size = tuple(sample.ori_shape[:2])
            resize = partial(_resize, size=size, align_corners=self.align_corners)
            if kept or self.out_channels == 1:
                logits = resize(logits)
            if self.out_channels == 1:
                logits = logits.sigmoid()
                label = (logits > self.decode_head.threshold).long()
            else:
                label = _best_class(logits, resize)
            sample.set_data({'pred_sem_seg': PixelData(data=label)})
            if self.test_cfg.get('keep_scores', False):
                sample.set_data({'pred_scores': PixelData(data=self._foreground(logits))})
            if self.test_cfg.get('keep_logits', False):
                sample.set_data({'seg_logits': PixelData(data=logits)})
        return samples

    def _foreground(self, logits: Tensor) -> Tensor:
        """Returns (1, H, W) probabilities of the second of two classes, in float32."""
        logits = logits.float()
        if len(logits) == 1:  # a probability
            return logits
        if getattr(self.decode_head, 'predicts_scores', False):
            return logits[1:] / logits.sum(0, keepdim=True).clamp(min=1e-12)
        return logits.softmax(0)[1:]

    def _dump_init_info(self) -> None:
        """Writes nothing: four lines for each frozen tensor would drown the log."""

    def _build_head(self, head: Mapping[str, Any]) -> nn.Module:
        """Builds a head on all maps, or on the last one if it reads a single map."""
        _check_losses(head)
        if 'in_index' in head or _takes_features(MODELS.get(head['type'])):
            head = {'in_index': list(range(len(self._channels))), **head}
            return MODELS.build(self._fill(head, head['in_index']))
        try:
            return MODELS.build(self._fill(head, list(range(len(self._channels)))))
        except AssertionError:  # mmseg's heads of a single map refuse a list
            return MODELS.build(self._fill(head, len(self._channels) - 1))

    def _fill(self, head: Mapping[str, Any], index: int | Sequence[int]) -> dict[str, Any]:
        """Returns a head's config with the sizes that the encoder and the benchmark determine."""
        filled = {'num_classes': self._num_classes, **head, 'in_index': index}
        many = isinstance(index, (list, tuple))
        channels = [self._channels[i] for i in index] if many else self._channels[index]
        if filled.setdefault('in_channels', channels) != channels:
            raise UserError(
                f'head {head.get("type")!r} has in_channels={filled["in_channels"]}, but the maps '
                f'it reads have {channels}: leave in_channels out, it is read from the encoder'
            )
        cls = MODELS.get(filled['type'])
        if _takes_features(cls):
            filled.setdefault('query_dims', self.backbone.query_dims)
        takes = inspect.signature(cls).parameters
        if 'in_strides' in takes:
            filled.setdefault('in_strides', self._strides and [self._strides[i] for i in index])
        if filled.get('out_channels') == 1:  # mmseg's own default is 0.3
            filled.setdefault('threshold', 0.5)
        if 'checkpoint' in takes:  # the head's weights come in the encoder's file
            filled.setdefault('checkpoint', self._weights_file)
        return filled


def _with_num_classes(backbone: Mapping[str, Any], num_classes: int) -> dict[str, Any]:
    """Returns a backbone's config with K filled in for each method that takes it."""

    def fill(peft: Mapping[str, Any]) -> Mapping[str, Any]:
        cls = PEFT_METHODS.get(peft.get('type', ''))
        takes = cls is not None and 'num_classes' in inspect.signature(cls).parameters
        return {'num_classes': num_classes, **peft} if takes else peft

    peft = backbone['peft']
    filled = fill(peft) if isinstance(peft, Mapping) else [fill(one) for one in peft]
    return {**backbone, 'peft': filled}


def _takes_features(head: Any) -> bool:
    """Says whether a head, or its class, reads `Features` and not just maps."""
    return getattr(head, 'takes_features', False)


def _given(head: nn.Module, features: Features) -> Features | tuple[Tensor, ...]:
    return features if _takes_features(head) else features.maps


def _check_losses(head: Mapping[str, Any]) -> None:
    losses = head.get('loss_decode') or []
    for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
        if loss.get('class_weight') is not None and loss.get('avg_non_ignore'):
            raise UserError(
                f'head {head.get("type")!r}: mmseg fails on class_weight together with '
                'avg_non_ignore=True when pixels are ignored; set avg_non_ignore=False'
            )


def _unpadded(logits: Tensor, meta: Mapping[str, Any]) -> Tensor:
    """Returns (K, H, W) of the image without padding and flip."""
    padding = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
    left, right, top, bottom = padding
    height, width = logits.shape[1:]
    logits = logits[:, top : height - bottom, left : width - right]
    if meta.get('flip'):
        logits = logits.flip(-1 if meta['flip_direction'] == 'horizontal' else -2)
    return logits


def _resize(logits: Tensor, *, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Returns (K, H, W) in the given size."""
    if tuple(logits.shape[1:]) == size:
        return logits
    options = dict(mode='bilinear', align_corners=align_corners)
    return F.interpolate(logits[None], size=size, **options)[0]


def _best_class(logits: Tensor, resize: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the (1, H, W) best class, the first of equals, of (K, h, w) logits when resized.

    Class by class: all of them in the size of the image would be the largest tensor of a test.
    """
    logits = logits.detach()
    first = resize(logits[:1])
    if first.shape[1:] == logits.shape[1:]:
        return logits.max(0, keepdim=True).indices  # argmax takes five times as long
    best, label = first, torch.zeros_like(first, dtype=torch.int16)
    for k in range(1, len(logits)):
        each = resize(logits[k : k + 1])
        label.masked_fill_(each > best, k)
        torch.maximum(best, each, out=best)
    return label.long()


def slide_windows(image: Sequence[int], crop: Sequence[int], stride: Sequence[int]) -> list[Window]:
    """Returns (top, bottom, left, right) of each window, row by row.

    Args:
        image: (H, W) in pixels.
        crop: (h, w) in pixels.
        stride: (h, w) in pixels.
    """
    spans = []
    for side, length, step in zip(image, crop, stride, strict=True):
        number = max(side - length + step - 1, 0) // step + 1
        stops = [min(i * step + length, side) for i in range(number)]
        spans.append([(max(stop - length, 0), stop) for stop in stops])
    return [(*rows, *columns) for rows in spans[0] for columns in spans[1]]


def _checked_test_cfg(cfg: Mapping[str, Any] | None, num_classes: int) -> Any:
    from mmengine.config import ConfigDict

    test_cfg = ConfigDict(cfg or {})
    if test_cfg.get('keep_scores', False) and num_classes != 2:
        raise UserError(
            f'test_cfg.keep_scores=True keeps the probability of one foreground class, but there '
            f'are {num_classes} classes; use it with num_classes=2'
        )
    mode = test_cfg.setdefault('mode', 'whole')
    if mode not in ('whole', 'slide'):
        raise UserError(f'test_cfg.mode={mode!r}: expected whole or slide')
    if mode == 'slide':
        for key in ('crop_size', 'stride'):
            value = test_cfg.get(key)
            if not isinstance(value, (list, tuple)) or len(value) != 2 or min(value) < 1:
                raise UserError(
                    f'test_cfg.{key}={value!r}: mode="slide" needs (height, width) in pixels'
                )
        if any(s > c for s, c in zip(test_cfg.stride, test_cfg.crop_size, strict=True)):
            raise UserError(
                f'test_cfg.stride={tuple(test_cfg.stride)} exceeds '
                f'crop_size={tuple(test_cfg.crop_size)}: pixels between windows would get no score'
            )
    return test_cfg


def _preprocessor(info: Any, crop_size: Sequence[int] | None) -> dict[str, Any]:
    return dict(
        type='SegDataPreProcessor',
        mean=list(info.mean),
        std=list(info.std),
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        **(dict(size=tuple(crop_size)) if crop_size else dict(size_divisor=1)),
    )


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Returns trainable and frozen parameter counts of a `PEFTSegmentor`, by part."""
    backbone = model.backbone
    own = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {
        'method': own,
        'neck_and_head': total - own,
        'trainable': total,
        'frozen': sum(p.numel() for p in model.parameters() if not p.requires_grad),
    }
