"""The contract of a decode head: its arguments, its inputs, its results.

B batch, K classes, C channels, D width, H x W image, h x w map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.structures import Features

Output = Literal['logits', 'scores', 'sigmoids']
Index = int | Sequence[int]
Reads = bool | Literal['if_there']


@dataclass(frozen=True)
class HeadInputs:
    """The facts that a model knows before it builds a head.

    Attributes:
        channels: C_i of each map.
        strides: Pixels a step of each map, or None where they are unknown (behind a neck).
        num_classes: K.
        query_dims: Width of the queries that the PEFT method makes, or None without queries.
        checkpoint: File of the encoder's pretrained weights, or None.
        embedding_dims: Channels of the patch embedding of a plain ViT, or None without it.
        joint_dims: Width of the space that image and text share, or None without it.
        text_dims: Width of the text embedding of a class, or None without text.
        unseen: Indexes of the classes that training never labels, of a model with text.
        text_scale: Factor of cosines that the text tower was trained with, or None.
        encoder_heads: Heads of the encoder's attention, or None where blocks differ or have none.
        encoder_rotary: Whether the encoder's attention has rotary positions.

    Example:
        >>> from rein_seg.heads.contract import HeadInputs
        >>> inputs = HeadInputs(channels=(8, 16), strides=(4, 8), num_classes=3)
        >>> inputs.arguments([1])['in_channels'], inputs.arguments(1)['in_channels']
        ([16], 16)
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...] | None
    num_classes: int
    query_dims: int | None = None
    checkpoint: str | None = None
    embedding_dims: int | None = None
    joint_dims: int | None = None
    text_dims: int | None = None
    unseen: tuple[int, ...] = ()
    text_scale: float | None = None
    encoder_heads: int | None = None
    encoder_rotary: bool = False

    def arguments(self, in_index: Index) -> dict[str, Any]:
        """Returns the facts as constructor arguments, for a head that reads the given maps.

        Args:
            in_index: Index of one map, which gives scalars, or of several maps, which gives lists.

        Raises:
            UserError: If a map does not exist.
        """
        strides = self.strides
        return {
            'in_index': in_index,
            'in_channels': _pick(self.channels, in_index),
            'in_strides': None if strides is None else _pick(strides, in_index),
            'num_classes': self.num_classes,
            'query_dims': self.query_dims,
            'checkpoint': self.checkpoint,
            'embedding_dims': self.embedding_dims,
            'joint_dims': self.joint_dims,
            'text_dims': self.text_dims,
            'unseen': self.unseen,
            'text_scale': self.text_scale,
            'encoder_heads': self.encoder_heads,
            'encoder_rotary': self.encoder_rotary,
        }


class DecodeHead(ABC):
    """Turns `Features` into losses and predictions.

    To write a head, subclass `DecodeHead` and mmengine's ``BaseModule``, register the class in
    mmseg's ``MODELS``, name in ``filled_in`` the facts that the constructor takes, set the
    attributes below, and implement `forward`, `loss` and `predict`. A config can then name it:
    ``decode_head=dict(type='MyHead')``. A head of mmseg joins through `MMSegHead`.

    Attributes:
        filled_in: Constructor arguments that the model fills in where the config leaves them out:
            keys of `HeadInputs.arguments`. A head that lists ``query_dims`` reads the queries, a
            head that lists ``embedding_dims`` the patch embedding; a head that lists ``joint_dims``
            or ``text_dims`` needs an encoder with a joint space, or a text branch. Where they
            depend on the config, `facts` says which hold.
        output: ``logits``: `predict` returns logits. ``scores``: it returns non-negative numbers
            that are proportional to the classes' probabilities. ``sigmoids``: each channel is the
            probability of its own class alone, less a bias of the decision; such a head has its own
            `probabilities`.
        num_classes: K.
        out_channels: Channels of a prediction: K, or 1 for one foreground class of two.
        ignore_index: Label of pixels without a class. They add nothing to a loss of pixels.
        unseen_label: Label of pixels of unseen classes, where the head gives them pseudo labels;
            for all other parts of the model they are ignored pixels. None: there is no such label.
        threshold: Probability above which a pixel is foreground, with one output channel.
        align_corners: How predictions are resized; see PyTorch's ``interpolate``.
        open_vocabulary: Whether `set_classes` works: no tensor of the head belongs to a class. Such
            a head lists ``text_dims`` and reads the embeddings of the classes.
        reads_scores: Whether it reads ``scores`` of `Features`, which a neck must make.
        anneals_masks: Whether masked attention is opened during training: the head has a buffer
            ``attn_mask_probs``, and a config without `MaskAnnealingHook` gets one.
        reads_norm: Whether it reads maps behind the encoder's own final norm, which the encoder
            then keeps: ``final_norm=True``. Encoders without such a norm are refused, unless it is
            ``if_there``.
        reads_prefix: Whether it reads ``prefix`` of `Features`, class and register tokens of each
            map, which the backbone then keeps. Encoders whose maps are not made of tokens are
            refused; with ``if_there`` they give none.
        joins_encoder: Whether its queries pass through the last blocks of the encoder, beside the
            patches; see `PEFTBackbone.join`.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from mmengine.model import BaseModule
        >>> from rein_seg.heads.contract import DecodeHead
        >>> from rein_seg.structures import Features
        >>> class LastMapHead(DecodeHead, BaseModule):
        ...     filled_in = ('in_channels', 'num_classes')
        ...     def __init__(self, in_channels, num_classes):
        ...         super().__init__()
        ...         self.num_classes = self.out_channels = num_classes
        ...         self.classify = torch.nn.Conv2d(in_channels[-1], num_classes, 1)
        ...     def forward(self, features):
        ...         return self.classify(features.maps[-1])
        ...     def loss(self, features, labels):
        ...         logits = F.interpolate(self(features), size=labels.shape[1:])
        ...         return {'loss_ce': F.cross_entropy(logits, labels, ignore_index=255)}
        ...     def predict(self, features, size):
        ...         return F.interpolate(self(features), size=size, mode='bilinear')
        >>> head = LastMapHead([8], num_classes=3)
        >>> features = Features(maps=(torch.zeros(2, 8, 4, 4),))
        >>> head.predict(features, (64, 64)).shape
        torch.Size([2, 3, 64, 64])
        >>> list(head.loss(features, torch.zeros(2, 64, 64, dtype=torch.long)))
        ['loss_ce']
    """

    filled_in: ClassVar[tuple[str, ...]] = ('in_channels', 'in_index', 'num_classes')
    output: Output = 'logits'
    num_classes: int
    out_channels: int
    ignore_index: int | None = 255
    unseen_label: int | None = None
    threshold: float = 0.5
    align_corners: bool = False
    open_vocabulary: ClassVar[bool] = False
    reads_scores: ClassVar[bool] = False
    anneals_masks: ClassVar[bool] = False
    reads_norm: ClassVar[Reads] = False
    reads_prefix: ClassVar[Reads] = False
    joins_encoder: ClassVar[bool] = False
    __call__: Callable[..., Any]

    @classmethod
    def facts(cls, cfg: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns ``filled_in``, as far as a head of this config takes it."""
        return cls.filled_in

    @abstractmethod
    def forward(self, features: Features) -> Any:
        """Returns the head's own result, of any type, before resizing."""

    @abstractmethod
    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns named scalars; those with ``loss`` in their names are trained on.

        Args:
            features: Of a batch.
            labels: (B, H, W) int64 class indexes and ``ignore_index``.
        """

    @abstractmethod
    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """Returns (B, ``out_channels``, H, W) logits or scores, as ``output`` says.

        Args:
            features: Of a batch.
            size: (H, W) of the prediction in pixels.
        """

    def image_sides(self, strides: Sequence[int]) -> tuple[int, int]:
        """Returns the divisor that the sides of images must have, and the shortest side, in pixels.

        Args:
            strides: Pixels a step of each map of the model, read by this head or not.
        """
        return 1, 1

    def set_classes(self, num_classes: int, unseen: tuple[int, ...] = ()) -> None:
        """Takes another number of classes for predictions; only of an open vocabulary.

        Args:
            num_classes: K.
            unseen: Indexes of the classes that training did not label.
        """
        assert self.open_vocabulary
        self.num_classes = self.out_channels = num_classes

    def without_ignored(self, labels: Tensor) -> Tensor:
        """Returns the (B, H, W) labels with K, no class, in the place of ``ignore_index``."""
        if self.ignore_index is None:
            return labels
        return labels.masked_fill(labels == self.ignore_index, self.num_classes)

    @property
    def sigmoid(self) -> bool:
        """Whether the single output channel is the logit of the foreground."""
        return self.out_channels == 1

    def probabilities(self, predicted: Tensor) -> Tensor:
        """Turns predictions into float32 probabilities, whose channels add up to one.

        Args:
            predicted: (B, ``out_channels``, H, W), from `predict`. With one channel the result is
                the probability of the foreground.
        """
        # bfloat16 would leave a few hundred values between 0 and 1
        predicted = predicted.float()
        if self.sigmoid:
            return predicted.sigmoid()
        if self.output == 'scores':
            return predicted / predicted.sum(1, keepdim=True).clamp(min=1e-12)
        return predicted.softmax(1)


def pixel_losses(
    compute: Callable[[Tensor], dict[str, Tensor]], labels: Tensor, ignore_index: int | None
) -> dict[str, Tensor]:
    """Returns the losses of a batch, or zeros with zero gradients if every pixel is ignored.

    A mean over no pixel is not a number, and mmseg's loss of one channel fails on it.

    Args:
        compute: Labels -> named losses.
        labels: (B, H, W).
        ignore_index: Label of pixels without a class.

    Example:
        >>> import torch
        >>> from rein_seg.heads.contract import pixel_losses
        >>> mean = lambda labels: {'loss': labels[labels != 255].double().mean()}
        >>> pixel_losses(mean, torch.tensor([[[3, 255]]]), 255)
        {'loss': tensor(3., dtype=torch.float64)}
        >>> pixel_losses(mean, torch.tensor([[[255, 255]]]), 255)
        {'loss': tensor(0., dtype=torch.float64)}
    """
    if ignore_index is None or not labels.eq(ignore_index).all():
        return compute(labels)
    # of any class, so that every parameter gets its gradient, zero
    return {name: value * 0 for name, value in compute(torch.zeros_like(labels)).items()}


def check_several(head: str, in_index: Any) -> None:
    """Checks that a head that reads several maps is given a list of them.

    Args:
        head: Its name, for the message.
        in_index: Maps that it shall read.

    Raises:
        UserError: If it is given a single index.
    """
    if isinstance(in_index, int):
        raise UserError(
            f'{head} reads several maps, and decode_head.in_index={in_index} names one: expected a '
            f'list, such as [{in_index}], or leave it out for all maps'
        )


def _pick(values: Sequence[int], index: Index) -> int | list[int]:
    chosen: list[Any] = list(index) if isinstance(index, (list, tuple)) else [index]
    if not chosen or not all(type(i) is int for i in chosen):
        raise UserError(
            f'decode_head.in_index={index!r}: expected the index of a map, or a list of indices, '
            'such as [0, 1]'
        )
    if any(not -len(values) <= i < len(values) for i in chosen):
        raise UserError(
            f'decode_head.in_index={index}, but there are {len(values)} maps (0 to '
            f'{len(values) - 1}): leave in_index out, or choose more out_indices of the encoder'
        )
    return values[chosen[0]] if isinstance(index, int) else [values[i] for i in chosen]
