"""MaskFormer: every query predicts a class, from a linear or from the class names, and a mask.

L layers, B batch, Q queries, K classes, S seen classes, D width, E width of the mask features, C
width of text, h x w fine map, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, Index
from rein_seg.heads.mask2former.layers import pyramid_scales
from rein_seg.heads.mask2former.masks import combine, mask_logits
from rein_seg.heads.mask2former.points import is_class
from rein_seg.heads.maskformer.loss import MaskFormerLoss
from rein_seg.heads.maskformer.pixel_decoder import PyramidDecoder
from rein_seg.heads.maskformer.predictor import QueryPredictor
from rein_seg.heads.maskformer.words import word_logits
from rein_seg.heads.mlp import MLP
from rein_seg.peft.arguments import checked
from rein_seg.resize import resize_by, resize_to
from rein_seg.rules import Count, Positive, Probability
from rein_seg.structures import Features

Classifier = Literal['text', 'linear']


@MODELS.register_module(force=True)  # mmseg's class of this name needs mmdet
class MaskFormerHead(DecodeHead, BaseModule):
    """Predicts Q pairs of class and mask: proposals that a second stage can classify again.

    The mask features come from a feature pyramid of all maps, the queries from a transformer
    decoder that reads the last map. With ``classifier='text'`` a query is classified by 100 times
    the cosine of its embedding with each class name's, and with a learned vector for "no object";
    no tensor belongs to a class then, and training compares with the seen classes alone. With
    ``'linear'`` it is plain MaskFormer.

    Args:
        in_channels: C_i of each map, finest first, or of one map; filled in by the segmentor.
        num_classes: K; filled in by the segmentor.
        in_index: Maps to read; filled in by the segmentor with all maps.
        in_strides: Pixels a step of each map, or None; filled in by the segmentor. Four maps of the
            same stride, as from a plain vision transformer, are resized to strides 4, 8, 16, 32;
            other maps are not resized.
        text_dims: C; filled in by the segmentor.
        unseen: Indexes of the classes that training never labels; filled in by the segmentor.
        classifier: ``text`` or ``linear``: see above.
        embed_dims: D.
        mask_dims: E.
        embed_hidden_dims: Hidden width between a query and its embedding in the space of text.
        embed_layers: Linears between them.
        num_queries: Q.
        num_layers: L.
        num_heads: Heads of the attentions.
        feedforward_channels: Hidden width of the feed-forwards.
        dropout: Probability in attention and feed-forwards, in training.
        norm_groups: Groups of the group norms.
        temperature: Factor of the cosines.
        loss: Arguments of `MaskFormerLoss`.
        ignore_index: Label of pixels without a class.

    Shapes:
        `Features` with maps and text (K, C) or (B, K, C) -> class logits (L, B, Q, K+1), "no
        object" last, and mask logits (L, B, Q, h, w); `propose` -> those of the last layer, masks
        (B, Q, H, W); `predict` -> scores (B, K, H, W): sums of class probability times mask
        probability.

    Raises:
        UserError: If an option is not as above, a width is no multiple of what divides it, or
            every class is unseen.

    Source: Cheng et al., "MaskFormer" (NeurIPS 2021); class names: Xu et al., "A Simple Baseline
    for Open-Vocabulary Semantic Segmentation" (ECCV 2022). Names in ``predictor`` are the official
    ones. Golden vectors of the official code hold the predictor: its layers, class and mask logits
    and their gradients. They hold neither pixel decoder nor matching and losses, which follow the
    papers: equal up to padding (official images of a batch are padded to one size, ours have it)
    and initial values.

    Example:
        >>> import torch
        >>> from rein_seg.heads import MaskFormerHead
        >>> from rein_seg.structures import Features
        >>> head = MaskFormerHead([8] * 4, num_classes=3, in_strides=[16] * 4, text_dims=12,
        ...     unseen=(1,), embed_dims=16, mask_dims=8, num_queries=5, num_layers=2, num_heads=2,
        ...     norm_groups=4)
        >>> maps = tuple(torch.randn(1, 8, 4, 6) for _ in range(4))
        >>> features = Features(maps=maps, text=torch.randn(3, 12))
        >>> [tuple(x.shape) for x in head.propose(features, (64, 96))]
        [(1, 5, 4), (1, 5, 64, 96)]
        >>> head.output, head.predict(features, (64, 96)).shape
        ('scores', torch.Size([1, 3, 64, 96]))
        >>> sorted(head.loss(features, torch.zeros(1, 64, 96, dtype=torch.long)))
        ['d0.loss_cls', 'd0.loss_dice', 'd0.loss_mask', 'loss_cls', 'loss_dice', 'loss_mask']
    """

    filled_in = (*DecodeHead.filled_in, 'in_strides', 'text_dims', 'unseen')
    output = 'scores'

    @checked
    def __init__(
        self,
        in_channels: Sequence[int] | int,
        *,
        num_classes: Count,
        in_index: Index | None = None,
        in_strides: Sequence[int] | int | None = None,
        text_dims: Count | None = None,
        unseen: Sequence[int] = (),
        classifier: Classifier = 'text',
        embed_dims: Count = 256,
        mask_dims: Count = 256,
        embed_hidden_dims: Count = 1024,
        embed_layers: Count = 2,
        num_queries: Count = 100,
        num_layers: Count = 6,
        num_heads: Count = 8,
        feedforward_channels: Count = 2048,
        dropout: Probability = 0.1,
        norm_groups: Count = 32,
        temperature: Positive = 100.0,
        loss: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check_widths(embed_dims, num_heads, norm_groups)
        _check_text(classifier, text_dims, unseen, num_classes)
        channels, strides = _many(in_channels), None if in_strides is None else _many(in_strides)
        self.in_index = range(len(channels)) if in_index is None else _many(in_index)
        self.scales = pyramid_scales(strides, len(channels))
        self.num_classes = self.out_channels = num_classes
        self.seen = tuple(i for i in range(num_classes) if i not in set(unseen))
        self.classifier, self.temperature = classifier, temperature
        self.ignore_index = ignore_index
        self.pixel_decoder = PyramidDecoder(
            channels, embed_dims=embed_dims, mask_dims=mask_dims, groups=norm_groups
        )
        if text_dims is None:
            class_embed: nn.Module = nn.Linear(embed_dims, num_classes + 1)
        else:
            class_embed = MLP(embed_dims, *[embed_hidden_dims] * (embed_layers - 1), text_dims)
            self.non_object_embedding = nn.Parameter(torch.randn(1, text_dims) * text_dims**-0.5)
        self.predictor = QueryPredictor(
            channels[-1],
            class_embed,
            embed_dims=embed_dims,
            mask_dims=mask_dims,
            num_queries=num_queries,
            num_layers=num_layers,
            num_heads=num_heads,
            hidden=feedforward_channels,
            dropout=dropout,
        )
        self.set_loss = MaskFormerLoss(len(self.seen), **(loss or {}))

    @classmethod
    def facts(cls, cfg: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns ``filled_in``, without the facts of text for the linear classifier."""
        if cfg.get('classifier', 'text') == 'text':
            return cls.filled_in
        return tuple(name for name in cls.filled_in if name not in ('text_dims', 'unseen'))

    @property
    def open_vocabulary(self) -> bool:  # type: ignore[override]
        """Whether the classes are read from text."""
        return self.classifier == 'text'

    def forward(self, features: Features) -> tuple[Tensor, Tensor]:
        """Returns class and mask logits of all layers."""
        queries, pixels = self.decode(features)
        masks = mask_logits(self.predictor.mask_embed(queries), pixels)
        return self.class_logits(queries, features.text), masks

    def propose(self, features: Features, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Returns class logits (B, Q, K+1), "no object" last, and mask logits (B, Q, H, W).

        Args:
            features: Of a batch.
            size: (H, W) of the masks in pixels.
        """
        classes, masks = self.last(features)
        return classes, resize_to(masks.float(), size)

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) scores of the last layer; see `combine`."""
        classes, masks = self.last(features)
        return combine(classes.float().softmax(-1)[..., :-1], masks, size)

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of all layers; see `MaskFormerLoss`.

        Pixels of unseen classes, whatever their ids, count as pixels without a class.
        """
        queries, pixels = self.decode(features)
        masks = mask_logits(self.predictor.mask_embed(queries), pixels)
        text = None if features.text is None else features.text[..., list(self.seen), :]
        return self.set_loss(self.class_logits(queries, text), masks, self.rows(labels))

    def decode(self, features: Features) -> tuple[Tensor, Tensor]:
        """Returns the queries (L, B, Q, D) after each layer and the mask features (B, E, h, w)."""
        maps = [features.maps[i] for i in self.in_index]
        queries = self.predictor(resize_by(maps[-1], self.scales[-1]))
        return queries, self.pixel_decoder(maps, self.scales)

    def last(self, features: Features) -> tuple[Tensor, Tensor]:
        """Returns class logits (B, Q, K+1) and mask logits (B, Q, h, w) of the last layer."""
        queries, pixels = self.decode(features)
        classes = self.class_logits(queries[-1], features.text)
        return classes, mask_logits(self.predictor.mask_embed(queries[-1]), pixels)

    def class_logits(self, queries: Tensor, text: Tensor | None) -> Tensor:
        """Returns (..., Q, K+1) logits of (..., Q, D) queries.

        Args:
            queries: The queries.
            text: (K, C) or (B, K, C) embeddings of the classes; not read by the linear classifier.
        """
        found = self.predictor.class_embed(queries)
        if self.classifier == 'linear':
            return found
        assert text is not None
        return word_logits(found, text, self.non_object_embedding, self.temperature)

    def rows(self, labels: Tensor) -> Tensor:
        """Returns (B, H, W) indexes among the seen classes; S stands for all other pixels."""
        known = is_class(labels, self.num_classes) & (labels != self.ignore_index)
        rows = torch.full((self.num_classes + 1,), len(self.seen), device=labels.device)
        rows[list(self.seen)] = torch.arange(len(self.seen), device=labels.device)
        return rows[torch.where(known, labels.long(), self.num_classes)]


def _many(values: Index) -> tuple[int, ...]:
    return (values,) if isinstance(values, int) else tuple(values)


def _check_widths(width: int, num_heads: int, groups: int) -> None:
    if width % num_heads or width % groups or width % 4:
        raise UserError(
            f'MaskFormerHead: embed_dims={width} must be divisible by 4, by norm_groups={groups} '
            f'and by num_heads={num_heads}'
        )


def _check_text(
    classifier: Classifier, text_dims: int | None, unseen: Sequence[int], num_classes: int
) -> None:
    if (classifier == 'text') != (text_dims is not None):
        raise UserError(
            f'MaskFormerHead classifier={classifier!r} with text_dims={text_dims}: expected the '
            "width of the class names' embeddings for 'text', and None for 'linear'; leave "
            'text_dims out, the model fills it in'
        )
    if num_classes <= len(set(unseen)):
        raise UserError(
            f'MaskFormerHead: all {num_classes} classes are unseen, so nothing can be trained; '
            'leave some out of benchmark.unseen'
        )
