"""HLG's head: maps of all levels, fused by a convolution and two layers of the encoder's kind.

B batch, C_i channels of map i, K classes, H x W image, h x w finest map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mmcv.cnn import build_norm_layer
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.hlg.layer import Behaviour
from rein_seg.errors import UserError
from rein_seg.heads.contract import check_several
from rein_seg.heads.hlg.layer import HLGHeadLayer
from rein_seg.heads.mmseg_head import LogitsHead
from rein_seg.structures import Features


@MODELS.register_module()
class HLGHead(LogitsHead):
    """Fuses maps at the finest one, refines them by layers with global attention, and classifies.

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        in_index: Maps to read, the finest first; filled in by the segmentor with all maps.
        channels: Width of the layers.
        depth: Number of layers; every second layer spreads its windows over the map.
        num_heads: Heads of the attention; None takes channels / 32.
        behaviour: ``intent``: the bias from pixel to window is computed from the offset to the
            window's centre, and padding is never seen by a pixel. ``official``: as the authors'
            code computes it: window numbers for places, read from another row of the table, and
            padding is like pixels.
        interval: Distance of the members of a spread window.
        window_size: Side of the other windows in members.
        mlp_ratio: Hidden width of the feed-forward over ``channels``.
        drop_path_rate: Probability of leaving out a branch of a layer, in training.
        norm_cfg: Norm between convolutions; default a batch norm.
        **kwargs: As mmseg's `BaseDecodeHead` (num_classes, loss_decode, ignore_index, ...).

    Shapes:
        `Features` with maps (B, C_i, H_i, W_i) -> logits (B, K, h, w), which `predict` and `loss`
        resize once, bilinearly, to the image (x 4 behind the maps of HLG).

    Raises:
        UserError: If the sizes do not fit one another.

    Source: Zhang et al., arXiv 2207.09339; details as its code has them, of which imports are
    missing. Differs from it: ``intent`` is ours, `official` repairs what fails; the queries of a
    method are not read.

    Example:
        >>> import torch
        >>> from rein_seg.heads import HLGHead
        >>> from rein_seg.structures import Features
        >>> head = HLGHead([8, 16], in_index=[0, 1], channels=32, num_classes=3)
        >>> maps = (torch.randn(2, 8, 16, 24), torch.randn(2, 16, 8, 12))
        >>> head.predict(Features(maps=maps), (64, 96)).shape
        torch.Size([2, 3, 64, 96])
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        in_index: Sequence[int],
        channels: int = 512,
        depth: int = 2,
        num_heads: int | None = None,
        behaviour: Behaviour = 'intent',
        interval: int = 8,
        window_size: int = 7,
        mlp_ratio: float = 4,
        drop_path_rate: float = 0.0,
        norm_cfg: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_several('HLGHead', in_index)
        _check_counts(
            channels=channels, depth=depth, interval=interval, window_size=window_size,
            num_heads=1 if num_heads is None else num_heads,
        )  # fmt: skip
        _check(channels, num_heads, behaviour)
        default = dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)
        kwargs = {'loss_decode': default, 'threshold': 0.5, 'dropout_ratio': 0.1, **kwargs}
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(in_index),
            input_transform='resize_concat',
            channels=channels,
            **kwargs,
        )
        norm = partial(_norm, dict(norm_cfg or dict(type='BN')))
        self.conv_0 = nn.Conv2d(sum(in_channels), channels, 3, padding=1)
        self.syncbn_fc_0 = norm(channels)
        self.relu = nn.ReLU()
        self.decode_transformer = nn.ModuleList(
            HLGHeadLayer(
                channels,
                num_heads or channels // 32,
                dilated=index % 2 == 1,
                behaviour=behaviour,
                window_size=window_size,
                interval=interval,
                mlp_ratio=mlp_ratio,
                norm=norm,
                drop_path=drop_path_rate,
            )
            for index in range(depth)
        )
        self.decode_transformer.apply(_initialise)

    def forward(self, features: Features) -> Tensor:
        """Returns the (B, K, h, w) logits at the finest map."""
        x = self._transform_inputs(features.maps)
        x = self.relu(self.syncbn_fc_0(self.conv_0(x)))
        for layer in self.decode_transformer:
            x = layer(x)
        return self.cls_seg(x)


def _norm(cfg: dict[str, Any], channels: int) -> nn.Module:
    return build_norm_layer(cfg, channels)[1]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if type(value) is not int or value < 1:
            raise UserError(f'HLGHead {name}={value!r}: expected a whole number, 1 or more')


def _check(channels: int, num_heads: int | None, behaviour: str) -> None:
    if channels % 16 or channels % (num_heads or 32):
        raise UserError(
            f'HLGHead channels={channels}, num_heads={num_heads}: expected a width that 16 and the '
            'number of heads divide (num_heads=None: a multiple of 32)'
        )
    if behaviour not in ('intent', 'official'):
        raise UserError(f'HLGHead behaviour={behaviour!r}: expected intent or official')
