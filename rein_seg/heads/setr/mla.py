"""SETR-MLA: sums of several blocks' maps, then a decoder that joins them.

B batch, L levels, C channels, D width of a level, E width of a joined level, K outputs, h x w map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.setr.layers import conv_norm_relu, norm_map, resize_by

FORMS = ('official', 'mmseg')


class MLADecoder(nn.Module):
    """Adds maps of one size from the last to the first, decodes each, and joins them.

    Level i of L: l_i = ReLU BN conv1x1(LN x_i); s_i = l_i + l_(i+1) + ... + l_L;
    p_i = ReLU BN conv3x3(s_i); h_i = twice ReLU BN conv3x3(p_i), four times as large;
    logits = conv(h_1 .. h_L).

    Args:
        in_channels: C_i of each level.
        out_channels: K.
        channels: D.
        head_channels: E.
        form: ``official``: h_i resized with aligned corners, a 3x3 classifier. ``mmseg``: corners
            not aligned, a 1x1 classifier.
        auxiliary: Classifies each p_i too.
        norm_eps: Of the layer norms.
        norm_cfg: Of the norm behind each convolution.

    Shapes:
        L maps (B, C_i, h, w) -> logits (B, K, 4h, 4w).

    Raises:
        UserError: If ``form`` is unknown.

    Source: Zheng et al., CVPR 2021, Sec. 3.3, and its official code, whose names the parts have.

    Example:
        >>> import torch
        >>> from rein_seg.heads.setr.mla import MLADecoder
        >>> decoder = MLADecoder([16, 16], 3, channels=8, head_channels=4)
        >>> pyramid = decoder.pyramid([torch.randn(2, 16, 4, 6)] * 2)
        >>> decoder.classify(pyramid).shape, decoder.auxiliary_logits(pyramid)[0].shape
        (torch.Size([2, 3, 16, 24]), torch.Size([2, 3, 4, 6]))
    """

    classifier = 'cls'

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        channels: int = 256,
        head_channels: int = 128,
        form: str = 'official',
        auxiliary: bool = True,
        norm_eps: float = 1e-6,
        norm_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise UserError(f'SETRHead: decoder.form={form!r}, expected one of {FORMS}')
        self.form, self.num_levels = form, len(in_channels)
        norm_cfg = norm_cfg or dict(type='BN')
        self.mla, self.mlahead = nn.Module(), nn.Module()
        for i, width in enumerate(in_channels):
            setattr(self, f'norm_{i}', nn.LayerNorm(width, norm_eps))
            lateral = nn.Sequential(*conv_norm_relu(width, channels, 1, norm_cfg))
            setattr(self.mla, f'mla_p{i + 2}_1x1', lateral)
            smooth = nn.Sequential(*conv_norm_relu(channels, channels, 3, norm_cfg))
            setattr(self.mla, f'mla_p{i + 2}', smooth)
            decode = (
                *conv_norm_relu(channels, head_channels, 3, norm_cfg),
                *conv_norm_relu(head_channels, head_channels, 3, norm_cfg),
            )
            setattr(self.mlahead, f'head{i + 2}', nn.Sequential(*decode))
        kernel = 3 if form == 'official' else 1
        joined = head_channels * self.num_levels
        self.cls = nn.Conv2d(joined, out_channels, kernel, padding=kernel // 2)
        self.auxiliary_head = nn.ModuleList()
        for _ in range(self.num_levels if auxiliary else 0):
            self.auxiliary_head.append(nn.ModuleDict())
            self.auxiliary_head[-1]['aux'] = nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Returns (B, K, 4h, 4w) logits."""
        return self.classify(self.pyramid(maps))

    def pyramid(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Returns p_i (B, D, h, w), first level first.

        Raises:
            UserError: If the maps have several sizes.
        """
        sizes = [tuple(x.shape[-2:]) for x in maps]
        if len(set(sizes)) > 1:
            raise UserError(
                f"SETRHead: variant='mla' adds its maps, whose sizes are {sizes}: expected one "
                "size; leave the neck out, or take variant='pup', which reads one map"
            )
        laterals = [
            getattr(self.mla, f'mla_p{i + 2}_1x1')(norm_map(getattr(self, f'norm_{i}'), x))
            for i, x in enumerate(maps)
        ]
        sums = list(accumulate(reversed(laterals)))[::-1]
        return [getattr(self.mla, f'mla_p{i + 2}')(x) for i, x in enumerate(sums)]

    def classify(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Returns (B, K, 4h, 4w) logits of p_i."""
        aligned = self.form == 'official'
        decoded = (getattr(self.mlahead, f'head{i + 2}')(x) for i, x in enumerate(pyramid))
        return self.cls(torch.cat([resize_by(x, 4, align_corners=aligned) for x in decoded], dim=1))

    def auxiliary_logits(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """Returns (B, K, h, w) logits of each p_i; none without auxiliary classifiers."""
        pairs = zip(self.auxiliary_head, pyramid, strict=False)
        return [head['aux'](x) for head, x in pairs]
