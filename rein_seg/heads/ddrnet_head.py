"""The head of DDRNet: two convolutions on a single map.

B batch, C channels, D width, K classes, H x W map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.mmseg_head import LogitsHead
from rein_seg.structures import Features


@MODELS.register_module()
class DDRNetHead(LogitsHead):
    """Computes norm, ReLU, 3x3 convolution, norm, ReLU, 1x1 convolution; resized to the label.

    It reads one map of any encoder; its first ReLU belongs to DDRNet's encoder, whose maps end
    before it. As an auxiliary head it reads DDRNet's second map.

    Args:
        in_channels: C; filled in by the segmentor.
        in_index: Map to read: 0 of DDRNet's are the features, 1 is the map for the auxiliary head.
        channels: D; the paper has 64, 128 and 256 (DDRNet-23-slim, 23, 39).
        norm_cfg: Of both norms; default batch norms.
        **kwargs: As mmseg's `BaseDecodeHead` (num_classes, loss_decode, ignore_index, ...).

    Shapes:
        `Features` with a map (B, C, H, W) -> logits (B, K, H, W).

    Raises:
        UserError: If ``in_index`` is left out and there are several maps.

    Source: Hong, Pan et al., arXiv 2101.06085, Sec. III-D. Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.heads import DDRNetHead
        >>> from rein_seg.structures import Features
        >>> head = DDRNetHead(16, in_index=0, channels=8, num_classes=3)
        >>> features = Features(maps=(torch.randn(2, 16, 8, 12), torch.randn(2, 8, 8, 12)))
        >>> head.predict(features, (64, 96)).shape
        torch.Size([2, 3, 64, 96])
        >>> sorted(head.loss(features, torch.zeros(2, 64, 96, dtype=torch.long)))
        ['acc_seg', 'loss_ce']
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        *,
        in_index: int | Sequence[int],
        channels: int = 64,
        norm_cfg: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> None:
        width, index = _single(in_channels, in_index)
        kwargs.setdefault(
            'loss_decode', dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)
        )
        kwargs.setdefault('threshold', 0.5)  # mmseg's own default is 0.3
        super().__init__(
            in_channels=width,
            in_index=index,
            channels=channels,
            norm_cfg=dict(norm_cfg or dict(type='BN')),
            **{'dropout_ratio': 0.0, 'init_cfg': None, **kwargs},
        )
        self.bn1 = build_norm_layer(self.norm_cfg, width)[1]
        self.conv1 = nn.Conv2d(width, channels, 3, padding=1, bias=False)
        self.bn2 = build_norm_layer(self.norm_cfg, channels)[1]
        self.conv2 = self._modules.pop('conv_seg')  # under its official name
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, features: Features) -> Tensor:
        """Returns the (B, K, H, W) logits of one map."""
        x = self._transform_inputs(features.maps)
        x = self.conv1(F.relu(self.bn1(x)))
        x = F.relu(self.bn2(x))
        return self.conv2(x if self.dropout is None else self.dropout(x))


def _single(in_channels: int | Sequence[int], in_index: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(in_index, int) and isinstance(in_channels, int):
        return in_channels, in_index
    indexes, widths = list(in_index), list(in_channels)  # type: ignore[arg-type]
    if len(indexes) != 1:
        raise UserError(
            f'DDRNetHead reads one map, and there are {len(indexes)} ({indexes}): set in_index, '
            "0 for DDRNet's features, 1 for its auxiliary head, -1 for the last map"
        )
    return widths[0], indexes[0]
