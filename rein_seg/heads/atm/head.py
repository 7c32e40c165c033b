"""ATM: the word of a class, told what the image shows, looks for the class's pixels.

B batch, K classes, S seen classes, D width of the joint image-text space, C width of the head,
h x w map of the joint embedding, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.heads.atm.checks import Setting, check_classes, check_sizes, check_unseen_label
from rein_seg.heads.atm.decoder import ATMDecoder
from rein_seg.heads.atm.loss import ATMLoss
from rein_seg.heads.contract import DecodeHead
from rein_seg.peft.arguments import checked
from rein_seg.rules import Count, NotNegative, Probability
from rein_seg.structures import Features

# rows of pixels without a mask: of an unseen class, until it gets its pseudo label; ignored
UNSEEN, IGNORED = -1, -2


@MODELS.register_module()
class ATMHead(DecodeHead, BaseModule):
    """Predicts a mask of each class from text, global and dense embedding; one stage, no proposals.

    The query of class k is a linear of [t_k * g ; t_k], the relationship descriptor, with t_k its
    text embedding and g the global embedding of the image. Queries attend to the dense embedding in
    a few layers and never to one another; the mask of a class are the scores of the last layer
    before the softmax, the mean over the heads. No tensor belongs to a class, so the head predicts
    classes that it was not trained with.

    Training reads the queries of the seen classes alone (``inductive``), or of all classes
    (``transductive``): then a pixel known to show some unseen class is labelled with the unseen
    class of its largest current mask. Labels keep the ids of all classes.

    Args:
        num_classes: K; filled in by the segmentor.
        joint_dims: Width of the dense embedding, D; filled in by the segmentor.
        text_dims: Width of text and global embedding, D; filled in by the segmentor.
        unseen: Indexes of the classes that training never labels; filled in by the segmentor.
        embed_dims: C; None takes D. Without ``use_proj`` it is D.
        use_proj: Puts a linear and a norm in front of the dense embedding, from D to C.
        num_layers: Layers of the decoder.
        num_heads: Heads of the attentions.
        feedforward_channels: Hidden width of the feed-forwards; None takes 4 C.
        dropout: Probability in attention and feed-forwards, in training.
        setting: ``inductive``, or ``transductive``: see above.
        unseen_label: Label of the pixels of unseen classes in the transductive setting, such as
            254, apart from ``ignore_index``; a run has its training labels say so
            (`KeepSeenLabels`). The ids of unseen classes count as this label.
        seen_bias: Subtracted from the scores of seen classes, since training favours them; not in
            the transductive setting.
        loss: Arguments of `ATMLoss`.
        official_layout: Builds what the official head holds and never uses, 44 % of it. These parts
            stay as they start or as a file has them; they get no gradient there either.
        ignore_index: Label of pixels without a class.

    Shapes:
        `Features` with joint (B, D), (B, D, h, w) and text (K, D) or (B, K, D) -> masks of each
        layer, (B, K, h, w) logits; `predict` -> (B, K, H, W) sigmoids less the bias.

    Raises:
        UserError: If a width does not fit, an option is not as above, no class is seen, or, in the
            transductive setting, every class is.

    Source: Zhou et al., "ZegCLIP" (CVPR 2023), Sec. 3; the decoder: Zhang et al., "SegViT" (NeurIPS
    2022). Parameters have the official names. Differs from the official code: parts that get no
    gradient are not built; any (h, w), where it takes squares; masks are resized once; padding gets
    no pseudo label, where it fails.

    Example:
        >>> import torch
        >>> from rein_seg.heads import ATMHead
        >>> from rein_seg.structures import Features
        >>> head = ATMHead(num_classes=3, joint_dims=16, text_dims=16, unseen=(1,), num_heads=2)
        >>> joint = torch.randn(2, 16), torch.randn(2, 16, 4, 6)
        >>> features = Features(maps=(), joint=joint, text=torch.randn(3, 16))
        >>> head.predict(features, (64, 96)).shape
        torch.Size([2, 3, 64, 96])
        >>> sorted(head.loss(features, torch.zeros(2, 64, 96, dtype=torch.long)))
        ['loss_dice', 'loss_mask']
    """

    filled_in = ('num_classes', 'joint_dims', 'text_dims', 'unseen')
    output = 'sigmoids'
    open_vocabulary = True

    @checked
    def __init__(
        self,
        num_classes: Count,
        *,
        joint_dims: Count,
        text_dims: Count,
        unseen: Sequence[int] = (),
        embed_dims: Count | None = None,
        use_proj: bool = False,
        num_layers: Count = 3,
        num_heads: Count = 8,
        feedforward_channels: Count | None = None,
        dropout: Probability = 0.1,
        setting: Setting = 'inductive',
        unseen_label: int | None = None,
        seen_bias: NotNegative = 0.1,
        loss: Mapping[str, Any] | None = None,
        official_layout: bool = False,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        width = check_sizes(joint_dims, embed_dims, num_heads, use_proj)
        check_unseen_label(unseen_label, setting, num_classes, ignore_index)
        self.setting, self.seen_bias, self.ignore_index = setting, seen_bias, ignore_index
        self.unseen_label, self.official_layout = unseen_label, official_layout
        check_classes(num_classes, unseen, setting)
        self.set_classes(num_classes, tuple(unseen))
        self.use_proj = use_proj
        if use_proj:
            self.input_proj_1 = nn.Linear(joint_dims, width)
            self.proj_norm_1 = nn.LayerNorm(width)
        self.q_proj = nn.Linear(2 * text_dims, width)
        self.decoder_1 = ATMDecoder(
            num_layers,
            width,
            num_heads=num_heads,
            hidden=feedforward_channels or 4 * width,
            dropout=dropout,
            official_layout=official_layout,
        )
        self.loss_decode = ATMLoss(**(loss or {}))
        self.apply(_initialise)

    def set_classes(self, num_classes: int, unseen: tuple[int, ...] = ()) -> None:
        """Takes another number of classes, of which some are unseen, for the next predictions."""
        self.num_classes = self.out_channels = num_classes
        self.unseen = tuple(sorted(unseen))
        self.seen = tuple(i for i in range(num_classes) if i not in set(unseen))

    def forward(self, features: Features) -> list[Tensor]:
        """Returns the (B, K, h, w) masks of each layer, logits."""
        assert features.joint is not None
        assert features.text is not None
        glob, dense = (F.normalize(x, dim=1) for x in features.joint)
        text = features.text.to(glob).expand(len(glob), -1, -1)
        queries = self.q_proj(torch.cat((text * glob[:, None], text), dim=2))
        memory = dense.flatten(2).transpose(1, 2)
        if self.use_proj:
            memory = self.proj_norm_1(self.input_proj_1(memory))
        return [mask.unflatten(2, dense.shape[2:]) for mask in self.decoder_1(queries, memory)]

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns ``loss_mask`` and ``loss_dice`` of the last layer; see `ATMLoss`.

        Raises:
            UserError: If `set_classes` left no class that this setting can train.
        """
        check_classes(self.num_classes, self.unseen, self.setting)
        rows = self.rows(labels)
        if self.setting == 'inductive':
            assert features.text is not None
            features = replace(features, text=features.text[..., list(self.seen), :])
            return self.loss_decode(self(features)[-1], rows)
        masks = self(features)[-1]
        return self.loss_decode(masks, self.with_pseudo_labels(rows, masks))

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, K, H, W) sigmoids of the last masks, less the bias of seen classes."""
        masks = F.interpolate(self(features)[-1].float(), size=size, mode='bilinear')
        return masks.sigmoid() - self.bias(masks)

    def probabilities(self, predicted: Tensor) -> Tensor:
        """Returns float32 probabilities, (B, K, H, W), which add up to one.

        The sigmoid of a class is the probability that a pixel belongs to it, whatever the others
        are. On condition that exactly one class is there, class k has the probability
        s_k / (1 - s_k) over the sum of these odds: the softmax of the logits. The bias decides
        between classes and is no part of it, so the label need not have the largest probability.

        Args:
            predicted: From `predict`, also averaged over windows or resized.
        """
        scores = predicted.float() + self.bias(predicted)
        return scores.logit(eps=1e-6).softmax(1)

    def bias(self, like: Tensor) -> Tensor:
        """Returns the (K, 1, 1) bias of the classes, on the device of a tensor."""
        bias = torch.zeros(self.num_classes, 1, 1, device=like.device)
        if self.setting == 'inductive':
            bias[list(self.seen)] = self.seen_bias
        return bias

    def rows(self, labels: Tensor) -> Tensor:
        """Returns the (B, H, W) indexes of the masks in training, `UNSEEN` and `IGNORED`.

        Args:
            labels: (B, H, W) ids of all classes, and ``ignore_index``.
        """
        rows = torch.full((self.num_classes + 1,), IGNORED, device=labels.device)
        seen = torch.tensor(self.seen, device=labels.device)
        if self.setting == 'inductive':
            rows[seen] = torch.arange(len(seen), device=labels.device)
        else:
            rows[: self.num_classes] = UNSEEN
            rows[seen] = seen
        labels = labels.long()
        known = (labels >= 0) & (labels < self.num_classes) & (labels != self.ignore_index)
        found = rows[torch.where(known, labels, self.num_classes)]
        if self.unseen_label is None:
            return found
        return found.masked_fill(labels == self.unseen_label, UNSEEN)

    @torch.no_grad()
    def with_pseudo_labels(self, rows: Tensor, masks: Tensor) -> Tensor:
        """Returns the (B, H, W) rows with the unseen class of the largest mask at `UNSEEN`."""
        unseen = list(self.unseen)
        own = F.interpolate(masks[:, unseen].float(), size=rows.shape[1:], mode='bilinear')
        best = torch.tensor(unseen, device=rows.device)[own.argmax(1)]
        return torch.where(rows == UNSEEN, best, rows)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
