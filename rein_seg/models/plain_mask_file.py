"""Parts of the official checkpoints of EoMT and PMT, which have one layout.

Names begin with ``network.``: the encoder lies below ``encoder.backbone.``, and the mean and
deviation of its images beside it, as buffers.

Q queries, K classes, M blocks with queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rein_seg.errors import UserError

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

HEAD = 'decode_head.'
_NETWORK, _BACKBONE = 'network.', 'encoder.backbone.'
_MEAN, _STD = 'encoder.pixel_mean', 'encoder.pixel_std'
_CRITERION = 'criterion.empty_weight'  # weights of the class loss
_CLASSES, _QUERIES, _PROBS = 'class_head.weight', 'q.weight', 'attn_mask_probs'
_NARROW = 'narrow.'  # an option of ours
_NEAR: dict[str, Any] = dict(rtol=1e-3, atol=1e-5)  # buffers may have been stored in half precision


@dataclass(frozen=True)
class Parts:
    """The content of an official file.

    Attributes:
        head: Tensors by names below ``network.`` that are not the encoder's.
        backbone: The encoder's by names below ``network.encoder.backbone.``; none in a file of PMT.
        pixels: Mean and deviation of images in 0..1, by ``mean`` and ``std``; they may be missing.
        other: Tensors of no known place, by their own names; loading reports them.
        left_out: Names that no model of ours stores.
    """

    head: dict[str, Tensor]
    backbone: dict[str, Tensor]
    pixels: dict[str, Tensor]
    other: dict[str, Tensor]
    left_out: tuple[str, ...]

    def with_head(self, head: Mapping[str, Tensor]) -> Parts:
        """Returns the parts with other tensors of the head."""
        return replace(self, head=dict(head))


def split(state: Mapping[str, Tensor]) -> Parts:
    """Sorts the tensors of an official file by part.

    Example:
        >>> import torch
        >>> from rein_seg.models.plain_mask_file import split
        >>> names = ('network.q.weight', 'network.encoder.backbone.norm.bias', 'criterion.x')
        >>> parts = split({name: torch.ones(1) for name in names})
        >>> list(parts.head), list(parts.backbone), list(parts.other)
        (['q.weight'], ['norm.bias'], ['criterion.x'])
    """
    head, backbone, pixels, other, left_out = {}, {}, {}, {}, []
    for name, tensor in state.items():
        inner = name.removeprefix(_NETWORK)
        if name == _CRITERION:
            left_out.append(name)
        elif inner == name:
            other[name] = tensor
        elif inner in (_MEAN, _STD):
            pixels[inner.rpartition('_')[2]] = tensor
            left_out.append(name)
        elif inner.startswith(_BACKBONE):
            backbone[inner.removeprefix(_BACKBONE)] = tensor
        else:
            head[inner] = tensor
    return Parts(head, backbone, pixels, other, tuple(left_out))


def is_delta(parts: Parts, text: str) -> bool:
    """Says whether a file holds differences to a pretrained encoder.

    Differences of buffers that never change are zero, so a deviation of pixels of zero tells it.

    Args:
        parts: The file.
        text: Kind and name of the file, for messages.

    Raises:
        UserError: If mean and deviation tell neither.

    Example:
        >>> import torch
        >>> from rein_seg.models.plain_mask_file import is_delta, split
        >>> zeros = {f'network.encoder.pixel_{x}': torch.zeros(1, 3, 1, 1) for x in ('mean', 'std')}
        >>> is_delta(split(zeros), 'the file')
        True
    """
    if not parts.pixels:
        return False
    zero = [not tensor.any() for tensor in parts.pixels.values()]
    if any(zero) and not (all(zero) and len(zero) == 2):
        raise UserError(
            f'{text}: its pixel_mean and pixel_std are neither those of a whole file nor zero, as '
            'in a file of differences: get the file again'
        )
    return all(zero)


def check_head(parts: Parts, model: PEFTSegmentor, text: str, inner: str = '') -> None:
    """Compares sizes and normalisation in a file with the model's, in words.

    Args:
        parts: The file.
        model: The segmentor.
        text: Kind and name of the file, for messages.
        inner: Prefix of the head's names in the file, such as ``decoder.``.

    Raises:
        UserError: If they differ, or a probability is not in 0..1.
    """
    theirs = {name.removeprefix(inner): x for name, x in parts.head.items()}
    ours = model.decode_head.state_dict()
    _check_pixels(parts.pixels, model, text)
    if any(name.startswith(_NARROW) for name in ours):
        raise UserError(
            f'{text} has no linear in front of the upscale blocks: set '
            'model.decode_head.upscale_channels=None'
        )
    for name, less, what, way in (
        (_CLASSES, 1, 'num_classes', 'use a benchmark with the classes it was trained on'),
        (_QUERIES, 0, 'num_queries', 'set model.decode_head.num_queries as it was trained'),
        (_PROBS, 0, 'num_blocks', 'set model.decode_head.num_blocks as it was trained'),
    ):
        if name not in theirs or name not in ours:
            continue  # strict loading reports it
        have, want = len(theirs[name]) - less, len(ours[name]) - less
        if have != want:
            raise UserError(f'{text} has {what}={have}, the config gives {want}: {way}')
    probs = theirs.get(_PROBS, torch.zeros(1))
    if not bool(((probs >= 0) & (probs <= 1)).all()):
        raise UserError(
            f'{text}: its probabilities of masked attention are {probs.tolist()}, expected 0 to 1: '
            'the file is of another kind than its other tensors say'
        )


def _check_pixels(pixels: Mapping[str, Tensor], model: PEFTSegmentor, text: str) -> None:
    info = model.backbone.encoder_info
    for name, ours in (('mean', info.mean), ('std', info.std)):
        theirs = pixels.get(name)
        if theirs is None or not theirs.any():  # zero: a difference
            continue
        wanted = torch.tensor(ours) / 255
        if theirs.numel() != 3 or not torch.allclose(theirs.flatten().float(), wanted, **_NEAR):
            raise UserError(
                f'{text} was trained with images of {name} {theirs.flatten().tolist()}, the '
                f"config's encoder takes {wanted.tolist()} (0..1): set {name} of the encoder"
            )
