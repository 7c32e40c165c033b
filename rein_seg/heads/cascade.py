"""Heads of mmsegmentation in a row, each of which refines the result of the head before.

B batch, K outputs, h x w map, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import ModuleList
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, pixel_losses
from rein_seg.heads.mmseg_head import as_metas, as_samples
from rein_seg.structures import Features


@MODELS.register_module()
class CascadeHead(DecodeHead, ModuleList):
    """Runs a head, then heads that take the maps and the result of the head before (OCRHead).

    Every head is trained with its own losses; the last head predicts. State dicts have the names of
    mmseg's ``CascadeEncoderDecoder``.

    Args:
        heads: At least two heads. In a config these are configs of heads, which the segmentor
            builds: ``heads=[dict(type='FCNHead', ...), dict(type='OCRHead', ...)]``.

    Shapes:
        `Features` -> logits (B, K, h, w) of the last head.

    Raises:
        UserError: If there is one head, the first head needs the result of another head, a further
            head does not take any, or two heads read other maps.

    Source: mmsegmentation's ``CascadeEncoderDecoder``. Differs from it: each head runs once in a
    training step, there twice; losses are named ``head_i``.

    Example:
        >>> import torch
        >>> from mmseg.models import FCNHead
        >>> from mmseg.models.decode_heads import OCRHead
        >>> from rein_seg.heads import CascadeHead
        >>> from rein_seg.structures import Features
        >>> sizes = dict(in_channels=8, channels=4, in_index=0, num_classes=3)
        >>> head = CascadeHead([FCNHead(num_convs=1, **sizes), OCRHead(ocr_channels=4, **sizes)])
        >>> features = Features(maps=(torch.randn(2, 8, 4, 6),))
        >>> head.predict(features, (64, 96)).shape
        torch.Size([2, 3, 64, 96])
        >>> sorted(head.loss(features, torch.zeros(2, 64, 96, dtype=torch.long)))
        ['head_0.acc_seg', 'head_0.loss_ce', 'head_1.acc_seg', 'head_1.loss_ce']
    """

    filled_in = ()

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        _check(heads)
        super().__init__(heads)
        last = heads[-1]
        self.num_classes, self.out_channels = last.num_classes, last.out_channels
        self.ignore_index, self.align_corners = last.ignore_index, last.align_corners
        if last.threshold is not None:  # None with a channel for each class
            self.threshold = last.threshold

    def forward(self, features: Features) -> Tensor:
        """Returns the logits of the last head, in the size of its map."""
        return self._outputs(features)[-1]

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses and the accuracy (%) of each head, ``head_0.loss_ce`` and so on."""
        outputs = self._outputs(features)

        def compute(known: Tensor) -> dict[str, Tensor]:
            samples: list[SegDataSample] = as_samples(known)
            losses: dict[str, Tensor] = {}
            for i, (head, output) in enumerate(zip(self, outputs, strict=True)):
                losses |= add_prefix(head.loss_by_feat(output, samples), f'head_{i}')
            return losses

        return pixel_losses(compute, labels, self.ignore_index)

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) logits of the last head."""
        return self[-1].predict_by_feat(self(features), as_metas(size, len(features.maps[0])))

    def _outputs(self, features: Features) -> list[Tensor]:
        outputs = [self[0](features.maps)]
        for head in list(self)[1:]:
            outputs.append(head(features.maps, outputs[-1]))
        return outputs


def heads_of(cfg: Mapping[str, Any]) -> list[Any]:
    """Returns the configs of the heads of a cascade; of another head, its own config in a list.

    Example:
        >>> from rein_seg.heads.cascade import heads_of
        >>> heads_of(dict(type='CascadeHead', heads=[dict(type='FCNHead'), dict(type='OCRHead')]))
        [{'type': 'FCNHead'}, {'type': 'OCRHead'}]
        >>> heads_of(dict(type='MyHead', heads=8))  # an argument of that name
        [{'type': 'MyHead', 'heads': 8}]
    """
    heads = cfg.get('heads')
    configs = isinstance(heads, (list, tuple)) and all(isinstance(one, Mapping) for one in heads)
    return list(heads) if heads and configs else [cfg]


def every_head(*parts: Any) -> list[Any]:
    """Returns the configs of all heads in parts of a model.

    Args:
        *parts: Each the config of a head or of a cascade, a list of these, or None.

    Example:
        >>> from rein_seg.heads.cascade import every_head
        >>> every_head(dict(type='FCNHead'), None, [dict(type='OCRHead'), dict(type='PSPHead')])
        [{'type': 'FCNHead'}, {'type': 'OCRHead'}, {'type': 'PSPHead'}]
    """
    listed = [part if isinstance(part, (list, tuple)) else [part] for part in parts]
    return [head for part in listed for cfg in part if cfg is not None for head in heads_of(cfg)]


def head_class(cfg: Mapping[str, Any]) -> type[DecodeHead] | None:
    """Returns the class that the config of a head names; None where it is no `DecodeHead`.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.heads.cascade import head_class
        >>> head_class(dict(type='LinearHead')), head_class(dict(type='FCNHead'))
        (<class 'rein_seg.heads.linear_head.LinearHead'>, None)
    """
    cls = MODELS.get(str(cfg.get('type')))
    return cls if isinstance(cls, type) and issubclass(cls, DecodeHead) else None


def _check(heads: Sequence[nn.Module]) -> None:
    names = [type(head).__name__ for head in heads]
    if len(heads) < 2:
        raise UserError(
            f'CascadeHead.heads={names}: expected two heads or more, such as FCNHead and OCRHead'
        )
    refines = [isinstance(head, BaseCascadeDecodeHead) for head in heads]
    if refines != [False] + [True] * (len(heads) - 1):
        raise UserError(
            f'CascadeHead.heads={names}: expected a head that reads maps alone (FCNHead), then '
            'heads that refine its result (OCRHead)'
        )
    if not isinstance(heads[0], BaseDecodeHead) or isinstance(heads[0], DecodeHead):
        raise UserError(
            f'CascadeHead.heads begins with {names[0]}: expected a head of mmsegmentation, whose '
            'logits have the size of its map, such as FCNHead'
        )
    reads = [(head.in_index, head.input_transform) for head in heads]
    if any(read != reads[0] for read in reads):
        raise UserError(
            f'CascadeHead.heads={names} read other maps (in_index, input_transform): {reads}: give '
            'all heads the same in_index and input_transform'
        )
