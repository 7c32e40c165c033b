"""A backbone, a neck and heads as a segmentor of mmseg.

B batch, K classes, H x W image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor, EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn

from rein_seg.building import building
from rein_seg.errors import NotFinite, UserError
from rein_seg.heads.cascade import heads_of
from rein_seg.heads.contract import DecodeHead, HeadInputs
from rein_seg.heads.mmseg_head import as_head
from rein_seg.models import band_preprocessor  # noqa: F401  registers it
from rein_seg.models.base import PEFTModel
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.models.final_norm import build_for_heads
from rein_seg.models.head_config import (
    build_head,
    check_keeps_pixels,
    head_inputs,
    preprocessor_config,
)
from rein_seg.models.joining import check_joining, joins_encoder
from rein_seg.models.multi_scale import RATIOS, MultiScale
from rein_seg.models.neck_config import build_neck
from rein_seg.models.open_vocabulary import labelled_words, set_classes, why_closed
from rein_seg.models.padding import pad_reflecting
from rein_seg.models.postprocess import postprocess, unpad
from rein_seg.models.text_config import text_for
from rein_seg.models.windows import check_test_cfg, fit_slide, slide, windows_at_once
from rein_seg.necks.contract import FeaturesNeck
from rein_seg.structures import Features
from rein_seg.text.names import Names


@MODELS.register_module()
class PEFTSegmentor(PEFTModel, EncoderDecoder):
    """A `PEFTBackbone`, an optional neck and a decode head, as a segmentor of mmseg.

    Sizes are written once, in the encoder's config: the model fills them into neck and heads
    (``in_channels``, ``num_classes``, ...; see `HeadInputs`), and normalises images as the encoder
    expects.

    Args:
        backbone: Config of the backbone.
        decode_head: Config of the head.
        num_classes: K of every head.
        crop_size: (h, w) that training batches are padded to; None does not pad.
        neck: Config of the neck.
        auxiliary_head: Config or list of configs of auxiliary heads, on the same features.
        text: Config of a `TextBranch`, for parts that read the embeddings of the classes.
        train_cfg: Handed to heads of mmseg.
        test_cfg: ``mode`` whole, slide or fit_slide, EoMT's windows: see `fit_slide`, with square
            ``crop_size``; with slide ``crop_size`` and ``stride`` (h, w) in pixels
            and ``batch_windows``, the most windows in one pass (default 4), fewer where
            ``window_memory`` holds no more, MiB at 1 KiB a pixel (default 256 on a CPU, 4096 on a
            GPU);
            ``keep_logits`` keeps (K, H, W) logits in the results; ``keep_scores`` the probability
            of the foreground, of two classes, as ``pred_scores``; ``resize='nearest'`` enlarges
            labels to the size of the image, not predictions.
        data_preprocessor: Overrides the preprocessor made from the encoder's normalisation.
        multi_scale: Trains at several sizes, see `MultiScale`: ``one`` draws a size for each
            iteration, ``each`` takes a step of the optimizer at every size; None trains at one.
        multi_scale_ratios: Factors of the crop for ``multi_scale``.

    Attributes:
        labelled: Names and words of the classes that training labels, of a model with text.
        keep_confidence: Whether results carry the probability of the predicted class; a runner sets
            it for its tests, see `rein_seg.models.postprocess.confidence`.

    Raises:
        UserError: If the method moves pixels, or makes queries that the head does not read, a given
            ``in_channels`` differs from the encoder's, text or a joint space is missing that a part
            reads, or text or a joint space is there that no part reads, a head reads the final norm
            or prefix tokens and the encoder has none, a head that joins the encoder cannot, or is
            not the decode head (see `JoinedQueries`), ``test_cfg`` is not one of the modes, or
            there is no single foreground class to keep scores of.

    Example:
        >>> import torch
        >>> from mmseg.registry import MODELS
        >>> import rein_seg.apis
        >>> arch = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
        >>> encoder = dict(type='mmpretrain.VisionTransformer', arch=arch, img_size=32,
        ...     patch_size=8, out_type='featmap', out_indices=[0, 1], final_norm=False, init_seed=0)
        >>> backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='LoRA', rank=2))
        >>> model = MODELS.build(dict(type='PEFTSegmentor', backbone=backbone,
        ...     decode_head=dict(type='LinearHead'), num_classes=3)).eval()
        >>> result = model.predict(torch.randn(1, 3, 32, 64))
        >>> result[0].pred_sem_seg.shape, int(result[0].pred_sem_seg.data.max()) < 3
        ((32, 64), True)
    """

    keep_confidence = False
    further_parts: Mapping[str, Any] = MappingProxyType({})  # key -> config, of a subclass

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        *,
        num_classes: int,
        crop_size: Sequence[int] | None = None,
        neck: Mapping[str, Any] | None = None,
        auxiliary_head: Mapping[str, Any] | list | None = None,
        text: Mapping[str, Any] | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        multi_scale: str | None = None,
        multi_scale_ratios: Sequence[float] = RATIOS,
        init_cfg: dict | None = None,
    ) -> None:
        with building('model.decode_head'):
            check_joining(decode_head, auxiliary_head, neck)
        with building('model.backbone'):
            check_keeps_pixels(backbone['peft'])
            built = build_for_heads(backbone, (decode_head, auxiliary_head), num_classes)
        if data_preprocessor is None:
            ignored = heads_of(decode_head)[-1].get('ignore_index', 255)
            data_preprocessor = preprocessor_config(built.encoder_info, crop_size, ignored)
        # not EncoderDecoder's: it would build the heads before their channels are known
        with building('model.data_preprocessor'):
            BaseSegmentor.__init__(
                self, data_preprocessor=dict(data_preprocessor), init_cfg=init_cfg
            )
        self.backbone = built
        parts = {'neck': neck, 'decode_head': decode_head, 'auxiliary_head': auxiliary_head}
        parts |= self.further_parts
        with building('model.text'):
            self.text = text_for(parts, text, built, backbone['encoder'], num_classes)
        inputs = head_inputs(built, backbone['encoder'], num_classes, self.text)
        strides = tuple(built.anatomy.out_strides)
        if neck is not None:
            with building('model.neck'):
                self.neck, channels, strides = build_neck(neck, inputs)
            least = getattr(self.neck, 'least_steps', 1) * max(built.anatomy.out_strides)
            built.restrict_sides(type(self.neck).__name__, 1, least)
            inputs = replace(inputs, channels=channels, strides=None)
        guard_batch_norms(getattr(self, 'neck', nn.Identity()))
        self.build_heads(decode_head, auxiliary_head, inputs)
        head = as_head(self.head_modules()['decode'])
        self.num_classes, self.out_channels = head.num_classes, head.out_channels
        self._trained_classes = head.num_classes
        if head.joins_encoder:
            with building('model.decode_head'):
                built.join(head)
        self.labelled = labelled_words(self.text)
        self.align_corners = head.align_corners
        self.train_cfg = train_cfg
        self.set_test_cfg(test_cfg)
        for place, module in self.every_head():
            guard_batch_norms(module)
            each = as_head(module)
            if 'embedding_dims' in each.filled_in:
                built.keep_embedding()
            with building(place):
                if each.reads_prefix is True or (each.reads_prefix and built.anatomy.out_taps):
                    built.keep_prefix()
                built.restrict_sides(type(each).__name__, *each.image_sides(strides))
        self.multi_scale: MultiScale | None = None
        if multi_scale is not None:
            divisor = built.anatomy.divisor
            self.multi_scale = MultiScale(multi_scale, multi_scale_ratios, divisor=divisor)
            self.data_preprocessor.batch_augments = self.multi_scale
        if built.query_dims is not None and 'query_dims' not in head.filled_in:
            raise UserError(
                f'{type(built.peft).__name__} makes queries, but decode head '
                f'{decode_head["type"]!r} takes none, so they would never train: use a head that '
                'does (LinearHead), or model.backbone.peft.link_to_queries=False'
            )

    def build_heads(self, decode_head: Any, auxiliary_head: Any, inputs: HeadInputs) -> None:
        """Builds the heads.

        Args:
            decode_head: Its config.
            auxiliary_head: Config, list of configs, or None.
            inputs: The facts to fill in.
        """
        with building('model.decode_head'):
            self.decode_head = build_head(decode_head, inputs)
        if auxiliary_head is not None:
            if joins_encoder(decode_head):  # it takes the queries of the method
                inputs = replace(inputs, query_dims=None)
            with building('model.auxiliary_head'):
                self.auxiliary_head = build_all(auxiliary_head, inputs)

    def head_modules(self) -> dict[str, nn.Module]:
        """Returns the modules of the heads by the prefix of their losses."""
        auxiliary = self.auxiliary_head if self.with_auxiliary_head else ()
        return {'decode': self.decode_head, **{f'aux_{i}': x for i, x in enumerate(auxiliary)}}

    def every_head(self) -> Iterator[tuple[str, nn.Module]]:
        """Yields the place in the config of each head, and its module."""
        for name, module in self.head_modules().items():
            yield 'model.decode_head' if name == 'decode' else 'model.auxiliary_head', module

    @property
    def heads(self) -> dict[str, DecodeHead]:
        """The heads by the prefix of their losses: ``decode``, ``aux_0``, ``aux_1``, ..."""
        return {
            name: as_head(module, self.train_cfg, self.test_cfg)
            for name, module in self.head_modules().items()
        }

    @property
    def trained_classes(self) -> int:
        """K of the training."""
        return self._trained_classes

    @property
    def has_open_vocabulary(self) -> bool:
        """Whether `set_classes` works."""
        return why_closed(self) is None

    def set_test_cfg(self, test_cfg: Mapping[str, Any] | None) -> None:
        """Changes ``test_cfg``, such as the windows, after checking it."""
        self.test_cfg = check_test_cfg(test_cfg, self.num_classes)

    def set_classes(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] | None = None,
        names: Names | None = None,
    ) -> None:
        """Predicts other classes from now on, in place of the trained; no tensor changes.

        Auxiliary heads, which only train, keep their classes.

        Args:
            classes: K names.
            unseen: Names of the classes that training did not label, for heads that favour them
                (the seen bias of ZegCLIP). Default: all whose name, or word, training did not label
                under the same name.
            names: Class -> words that stand for it in prompts, in place of its name.

        Raises:
            UserError: If the model has weights for each class, or the names are wrong.
        """
        set_classes(self, classes, unseen, names)

    def extract_feat(self, inputs: Tensor) -> Features:
        """Returns the features of (B, 3, H, W) normalised images, after the neck."""
        features = self.encode(inputs)
        if not self.with_neck:
            return features
        if isinstance(self.neck, FeaturesNeck):
            return self.neck(features)
        return replace(features, maps=tuple(self.neck(features.maps)))

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict] | None = None) -> Tensor:
        """Returns (B, K, H, W) logits or scores of (B, 3, H, W) normalised images.

        Args:
            inputs: The images.
            batch_img_metas: Not read; mmseg passes them. Predictions have the size of ``inputs``.
        """
        head, (height, width) = self.heads['decode'], inputs.shape[-2:]
        predicted = head.predict(self.extract_feat(inputs), (height, width))
        # a sigmoid of bfloat16 logits has a dozen values near 1
        return predicted.float() if head.sigmoid else predicted

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Returns the losses of head (``decode``), others (``aux_i``), method (``peft``).

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With the labels, (1, H, W) each.
        """
        return self.feature_losses(self.extract_feat(inputs), labels_of(data_samples))

    def feature_losses(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of features; see `loss`.

        Args:
            features: Of a batch, after the neck.
            labels: (B, H, W) class indexes.
        """
        losses: dict[str, Tensor] = {}
        method, decode = self.backbone.peft, self.heads['decode']
        known, ignored = labels, decode.ignore_index
        if decode.unseen_label is not None:  # which no other part can read
            assert ignored is not None
            known = labels.masked_fill(labels == decode.unseen_label, ignored)
        alone = features if self.backbone.joined is None else replace(features, queries=None)
        for name, head in self.heads.items():
            seen, marked = alone if name != 'decode' else features, head.unseen_label is not None
            losses.update(add_prefix(head.loss(seen, labels if marked else known), name))
        losses.update(add_prefix(method.aux_losses(), 'peft'))
        ignored = 255 if ignored is None else ignored  # a number that no label has
        losses.update(add_prefix(method.label_losses(known, ignore_index=ignored), 'peft'))
        return losses

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Trains on a batch; with ``multi_scale='each'`` at every size.

        Args:
            data: From the data loader.
            optim_wrapper: Updates the parameters.
        """
        if self.multi_scale is not None and self.multi_scale.form == 'each':
            return self.multi_scale.steps(self, data, optim_wrapper)
        return super().train_step(data, optim_wrapper)

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Any:
        return self.heads['decode'](self.extract_feat(inputs))

    def whole_inference(self, inputs: Tensor, batch_img_metas: list[dict] | None = None) -> Tensor:
        """Returns (B, K, H, W) predictions of whole images, of any size.

        Sides that are no multiple of the encoder's patch are padded with mirrored pixels; the
        predictions of the padding are cut off.

        Args:
            inputs: (B, 3, H, W) normalised images.
            batch_img_metas: Not read; mmseg passes them.
        """
        height, width = inputs.shape[-2:]
        anatomy = self.backbone.anatomy
        padded = pad_reflecting(inputs, anatomy.divisor, anatomy.smallest_side)
        return self.encode_decode(padded)[..., :height, :width]

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict] | None = None) -> Tensor:
        """Returns (B, K, H, W) predictions of windows; see `slide`.

        Equal to mmseg's loop over single windows. Sides shorter than the crop make smaller windows,
        padded to multiples of the encoder's patch.

        Args:
            inputs: (B, 3, H, W) normalised images.
            batch_img_metas: Not read; mmseg passes them.
        """
        return slide(
            inputs,
            self.encode_decode,
            self.out_channels,
            crop_size=self.test_cfg['crop_size'],
            stride=self.test_cfg['stride'],
            at_once=self._windows_at_once(inputs),
            divisor=self.backbone.anatomy.divisor,
            least=self.backbone.anatomy.smallest_side,
        )

    def _windows_at_once(self, inputs: Tensor) -> int:
        crop = self.test_cfg['crop_size']
        return windows_at_once(crop, self.test_cfg, inputs.device, images=len(inputs))

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Returns (B, K, H, W) predictions in the mode of ``test_cfg``.

        Args:
            inputs: (B, 3, H, W) normalised images.
            batch_img_metas: With ``ori_shape``, for mmseg.
        """
        if self.test_cfg['mode'] != 'fit_slide':
            return super().inference(inputs, batch_img_metas)
        return fit_slide(
            inputs,
            self.encode_decode,
            self.out_channels,
            side=self.test_cfg['crop_size'][0],
            at_once=self._windows_at_once(inputs),
        )

    def postprocess_result(self, seg_logits: Tensor, data_samples: list | None = None) -> list:
        """Returns samples with the maps that `postprocess` makes.

        Args:
            seg_logits: (B, K, h, w) predictions.
            data_samples: Samples to fill, with sizes of image and padding. None makes new samples
                with labels in the size of the predictions.
        """
        samples = data_samples or [SegDataSample() for _ in seg_logits]
        head = self.heads['decode']
        keep = {key: self.test_cfg.get(key, False) for key in ('keep_scores', 'keep_logits')}
        keep['nearest'] = self.test_cfg.get('resize') == 'nearest'
        keep['keep_confidence'] = self.keep_confidence
        for predicted, sample in zip(seg_logits, samples, strict=True):
            size = tuple(predicted.shape[1:])
            if data_samples is not None:
                predicted = unpad(predicted, sample.metainfo)
                size = tuple(sample.ori_shape[:2])
            try:
                maps = postprocess(predicted, head, size, **keep)
            except NotFinite as error:
                name = sample.metainfo.get('img_path', 'the image')
                raise NotFinite(f'{name}: {error}') from None
            sample.set_data({key: PixelData(data=value) for key, value in maps.items()})
        return samples


def build_all(cfg: Any, inputs: HeadInputs) -> nn.ModuleList:
    """Returns the heads of a config or of a list of configs."""
    many = cfg if isinstance(cfg, list) else [cfg]
    return nn.ModuleList(build_head(head, inputs) for head in many)


def labels_of(samples: Sequence[SegDataSample]) -> Tensor:
    """Returns the (B, H, W) int64 labels of samples."""
    return torch.stack([sample.gt_sem_seg.data.squeeze(0) for sample in samples]).long()
