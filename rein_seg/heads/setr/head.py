"""SETR's decoders as a decode head.

B batch, C channels, K outputs, h x w map, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.errors import UserError, near_misses
from rein_seg.heads.contract import DecodeHead, pixel_losses
from rein_seg.heads.mmseg_head import as_metas, as_samples
from rein_seg.heads.setr.mla import MLADecoder
from rein_seg.heads.setr.up import UpDecoder, WideAuxDecoder
from rein_seg.heads.setr.weights import load_head
from rein_seg.registry import build_with_hints
from rein_seg.structures import Features

# variant -> decoder and its arguments
VARIANTS: dict[str, tuple[type, dict[str, Any]]] = {
    'naive': (UpDecoder, dict(kernel_size=1, up_scales=(1,))),
    'pup': (UpDecoder, dict(kernel_size=3, up_scales=(2, 2, 2, 1))),
    'pup_aux': (UpDecoder, dict(kernel_size=3, up_scales=(4,))),
    'mla': (MLADecoder, {}),
    'wide_aux': (WideAuxDecoder, {}),
}
MLA = 'mla'


@MODELS.register_module()
class SETRHead(DecodeHead, BaseDecodeHead):
    """Decodes maps of a plain vision transformer as SETR does.

    ``naive``: layer norm, conv1x1, BN, ReLU, conv1x1 to K; also Naive's auxiliary head.
    ``pup``: layer norm, four times conv3x3, BN, ReLU, doubled in size after the first three,
    conv1x1 to K. ``pup_aux``, its auxiliary head: layer norm, conv3x3, BN, ReLU, four times as
    large, conv1x1 to K. ``mla``: see `MLADecoder`. ``wide_aux``, an auxiliary head of the encoder's
    maps for MLA: two 1x1 convolutions. At last all logits are resized to the image, bilinearly.

    Every variant but ``mla`` reads one map: the last, or ``in_index``.

    Args:
        in_channels: C_i of the maps; filled in by the segmentor.
        in_index: Maps to read; filled in by the segmentor with all maps.
        in_strides: Pixels a step of each map; filled in by the segmentor.
        variant: See above.
        decoder: Further arguments of `UpDecoder`, `MLADecoder` or `WideAuxDecoder`, such as
            ``dict(hidden=128)``. ``dict(up_scales=(4,))`` makes Naive mmsegmentation's, which
            resizes by 4 and then to the image; ``dict(form='mmseg')`` does so for MLA.
        aux_weight: Factor of the losses of MLA's auxiliary classifiers; they are named ``aux_i``.
        checkpoint: Official file of SETR, or of mmsegmentation, to start from.
        checkpoint_part: Part of that file: ``decode_head``, or ``auxiliary_head.1`` and so on.
        **kwargs: As mmseg's `BaseDecodeHead` (num_classes, norm_cfg, loss_decode, ...).

    Shapes:
        one map (B, C, h, w) -> logits (B, K, f h, f w), f = 1 (naive, wide_aux), 8, 4; ``mla``:
        L maps (B, C_i, h, w) -> (B, K, 4h, 4w).

    Raises:
        UserError: If the variant or an argument of its decoder is unknown, or the maps of ``mla``
            have several strides.

    Source: Zheng et al., "Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective
    with Transformers" (CVPR 2021), Sec. 3.3, and its official code. Differs from it: maps of any
    shape; a map is normalised as a token sequence is (``decoder=dict(norm_maps=False)`` is the
    official behaviour for maps); sizes follow the image, officially a multiple of the map; no
    unused ``conv_seg``.

    Example:
        >>> import torch
        >>> from rein_seg.heads import SETRHead
        >>> from rein_seg.structures import Features
        >>> head = SETRHead([8, 8], in_index=[0, 1], num_classes=3, decoder=dict(hidden=4))
        >>> features = Features(maps=(torch.randn(2, 8, 4, 6),) * 2)
        >>> head(features).shape, head.predict(features, (64, 96)).shape
        (torch.Size([2, 3, 32, 48]), torch.Size([2, 3, 64, 96]))
    """

    filled_in = (*DecodeHead.filled_in, 'in_strides')

    def __init__(
        self,
        in_channels: Sequence[int] | int,
        *,
        in_index: Sequence[int] | int,
        in_strides: Sequence[int] | int | None = None,
        variant: str = 'pup',
        decoder: Mapping[str, Any] | None = None,
        aux_weight: float = 0.4,
        checkpoint: str | None = None,
        checkpoint_part: str = 'decode_head',
        **kwargs: Any,
    ) -> None:
        _check(variant, in_strides, kwargs)
        many = variant == MLA
        channels, index = _chosen(in_channels, many=many), _chosen(in_index, many=many)
        kwargs = {'threshold': 0.5, **kwargs}
        super().__init__(
            in_channels=channels,
            in_index=index,
            input_transform='multiple_select' if many else None,
            channels=1,
            dropout_ratio=0.0,
            **kwargs,
            init_cfg=None,
        )
        del self.conv_seg  # mmseg's classifier: unused in the official heads
        self.variant, self.aux_weight = variant, aux_weight
        cls, defaults = VARIANTS[variant]
        options = {**defaults, 'in_channels': channels, 'out_channels': self.out_channels}
        if self.norm_cfg is not None:
            options['norm_cfg'] = self.norm_cfg
        self.decoder = build_with_hints(
            cls, {**options, **(decoder or {})}, what='SETRHead.decoder'
        )
        if checkpoint is not None:
            load_head(self.decoder, checkpoint, checkpoint_part)

    def forward(self, features: Features) -> Tensor:
        """Returns the logits before they are resized to the image."""
        return self.decoder(self._transform_inputs(features.maps))

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of ``loss_decode`` by name, and the accuracy ``acc_seg`` (%)."""
        logits, auxiliary = self._logits(features)

        def compute(known: Tensor) -> dict[str, Tensor]:
            samples = as_samples(known)
            losses = self.loss_by_feat(logits, samples)
            for i, each in enumerate(auxiliary):
                for name, value in self.loss_by_feat(each, samples).items():
                    factor = self.aux_weight if 'loss' in name else 1.0
                    losses[f'aux_{i}.{name}'] = factor * value
            return losses

        return pixel_losses(compute, labels, self.ignore_index)

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) logits."""
        return self.predict_by_feat(self(features), as_metas(size, len(features.maps[0])))

    def _logits(self, features: Features) -> tuple[Tensor, list[Tensor]]:
        maps = self._transform_inputs(features.maps)
        if self.variant != MLA:
            return self.decoder(maps), []
        pyramid = self.decoder.pyramid(maps)
        return self.decoder.classify(pyramid), self.decoder.auxiliary_logits(pyramid)


def _chosen(values: Sequence[int] | int, *, many: bool) -> list[int] | int:
    """Returns a list for several maps, and the last value for one map."""
    listed = [values] if isinstance(values, int) else list(values)
    return listed if many else listed[-1]


def _check(
    variant: str, in_strides: Sequence[int] | int | None, options: Mapping[str, Any]
) -> None:
    if variant not in VARIANTS:
        raise UserError(f'SETRHead: variant={variant!r}; {near_misses(str(variant), VARIANTS)}')
    unread = sorted({'dropout_ratio', 'conv_cfg', 'act_cfg', 'channels'} & options.keys())
    if unread:
        raise UserError(
            f'SETRHead: {", ".join(unread)} would have no effect: leave it out; widths are '
            'arguments of decoder, such as decoder=dict(hidden=128)'
        )
    strides = [in_strides] if isinstance(in_strides, int) else list(in_strides or [])
    if variant == MLA and len(set(strides)) > 1:
        raise UserError(
            f"SETRHead: variant='mla' adds maps of one size, but those of the encoder have strides "
            f"{strides}: take a plain encoder (DINOv2, SAM), or variant='pup', which reads one map"
        )
