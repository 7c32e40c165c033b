"""SETR's decoders of one map: Naive, PUP, and their auxiliary heads.

B batch, C channels, K outputs, D width, H x W map, f product of the factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.setr.layers import norm_map, resize_by


class UpDecoder(nn.Module):
    """Classifies a map: a layer norm, convolutions with upsampling between, a 1x1 classifier.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: Of the convolutions, 1 or 3.
        up_scales: Factor of the bilinear resize after each convolution; as many as convolutions.
        hidden: D.
        norm_maps: Applies the layer norm. False is the official behaviour for maps; officially
            only token sequences are normalised.
        norm_eps: Of the layer norm.
        norm_cfg: Of the norm behind each convolution.

    Shapes:
        (B, C, H, W) -> logits (B, K, f H, f W).

    Raises:
        UserError: If ``kernel_size`` or ``up_scales`` are not as above.

    Example:
        >>> import torch
        >>> from rein_seg.heads.setr.up import UpDecoder
        >>> decoder = UpDecoder(16, 3, kernel_size=3, up_scales=(2, 2, 2, 1), hidden=8)
        >>> decoder(torch.randn(2, 16, 4, 6)).shape
        torch.Size([2, 3, 32, 48])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        up_scales: Sequence[int],
        hidden: int = 256,
        norm_maps: bool = True,
        norm_eps: float = 1e-6,
        norm_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        _check(kernel_size, up_scales)
        self.up_scales = tuple(up_scales)
        self.norm = nn.LayerNorm(in_channels, norm_eps) if norm_maps else None
        width = in_channels
        for i in range(len(self.up_scales)):
            conv = nn.Conv2d(width, hidden, kernel_size, padding=kernel_size // 2)
            setattr(self, f'conv_{i}', conv)
            setattr(
                self, f'syncbn_fc_{i}', build_norm_layer(norm_cfg or dict(type='BN'), hidden)[1]
            )
            width = hidden
        setattr(self, self.classifier, nn.Conv2d(hidden, out_channels, 1))

    @property
    def classifier(self) -> str:
        """Name of the last convolution."""
        return f'conv_{len(self.up_scales)}'

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, K, f H, f W) logits."""
        if self.norm is not None:
            x = norm_map(self.norm, x)
        for i, factor in enumerate(self.up_scales):
            conv, norm = getattr(self, f'conv_{i}'), getattr(self, f'syncbn_fc_{i}')
            x = resize_by(norm(conv(x)).relu(), factor)
        return getattr(self, self.classifier)(x)


class WideAuxDecoder(nn.Module):
    """Classifies a map by two 1x1 convolutions without bias and with nothing between.

    Args:
        in_channels: C.
        out_channels: K.
        hidden: D.

    Shapes:
        (B, C, H, W) -> logits (B, K, H, W).

    Example:
        >>> import torch
        >>> from rein_seg.heads.setr.up import WideAuxDecoder
        >>> WideAuxDecoder(16, 3, hidden=8)(torch.randn(2, 16, 4, 6)).shape
        torch.Size([2, 3, 4, 6])
    """

    classifier = 'aux_1'

    def __init__(self, in_channels: int, out_channels: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.aux_0 = nn.Conv2d(in_channels, hidden, 1, bias=False)
        self.aux_1 = nn.Conv2d(hidden, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, K, H, W) logits."""
        return self.aux_1(self.aux_0(x))


def _check(kernel_size: int, up_scales: Sequence[int]) -> None:
    if kernel_size not in (1, 3):
        raise UserError(f'SETRHead: decoder.kernel_size={kernel_size!r}, expected 1 or 3')
    listed = isinstance(up_scales, (list, tuple)) and len(up_scales) > 0
    if not listed or not all(type(factor) is int and factor > 0 for factor in up_scales):
        raise UserError(
            f'SETRHead: decoder.up_scales={up_scales!r}, expected a factor of 1 or more for each '
            'convolution, such as (2, 2, 2, 1)'
        )
