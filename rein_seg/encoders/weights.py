"""Official weights under the names of our encoders; see resampling.py for their sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rein_seg.errors import UserError

Size = tuple[int, tuple[int, ...]]  # width of the first stage, blocks of each stage

# parts of classifiers and segmentation models beside the backbone
HEADS = ('head.', 'fc.', 'neck.', 'decode_head.', 'auxiliary_head.')
_SHOWN = 8  # names in a report: the classifier of a convolutional network has as many


@dataclass(frozen=True)
class Converted:
    """A state dict under the encoder's own names, and a report of the conversion.

    Attributes:
        tensors: Tensors by the encoder's names; strict loading follows.
        left_out: Official names that this encoder does not use, such as a classification head. An
            unknown name stays in ``tensors``, where strict loading reports it.
        resampled: Resized tensors, such as ``pos_embed 37x37 -> 32x32``.
        filled: Names without values in the file, which start as the identity.

    Example:
        >>> from rein_seg.encoders.weights import Converted
        >>> print(Converted({}, left_out=('head.weight',), resampled=('pos_embed 37x37 -> 32x32',)))
        resampled pos_embed 37x37 -> 32x32; left out head.weight
    """

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...] = ()
    resampled: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f'resampled {", ".join(self.resampled)}'] if self.resampled else []
        parts += [f'not in the file, started anew: {", ".join(self.filled)}'] * bool(self.filled)
        left = self.left_out
        more = f' and {len(left) - _SHOWN} more' if len(left) > _SHOWN else ''
        parts += [f'left out {", ".join(left[:_SHOWN])}{more}'] if left else []
        return '; '.join(parts) or 'taken as it is'


def rename(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Returns ``state`` with every rule (pattern, replacement) applied to each name, in turn.

    Raises:
        UserError: If two names become the same.

    Example:
        >>> from rein_seg.encoders.weights import rename
        >>> rename({'blocks.0.norm1.bias': 1}, [('^blocks', 'layers'), ('norm', 'ln')])
        {'layers.0.ln1.bias': 1}
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new in renamed:
            raise UserError(f'two tensors of the weights file would both become {new!r}')
        renamed[new] = tensor
    return renamed


def strip_prefix(state: Mapping[str, Tensor], anchor: str) -> dict[str, Tensor]:
    """Takes the prefix in front of ``anchor``, such as ``module.``, off all names.

    Names stay as they are unless exactly one of them ends in the anchor.

    Raises:
        UserError: If two names become the same.

    Example:
        >>> from rein_seg.encoders.weights import strip_prefix
        >>> strip_prefix({'backbone.cls_token': 1, 'backbone.norm.bias': 2}, 'cls_token')
        {'cls_token': 1, 'norm.bias': 2}
    """
    found = [name for name in state if name.endswith('.' + anchor)]
    if len(found) != 1:
        return dict(state)
    return rename(state, [('^' + re.escape(found[0].removesuffix(anchor)), '')])


def leave_out(
    state: Mapping[str, Tensor], pattern: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns the tensors whose names do not match ``pattern``, and the names that do.

    Example:
        >>> from rein_seg.encoders.weights import leave_out
        >>> leave_out({'cls_token': 1, 'head.bias': 2}, 'head')
        ({'cls_token': 1}, ('head.bias',))
    """
    unused = tuple(name for name in state if re.match(pattern, name))
    return {name: tensor for name, tensor in state.items() if name not in unused}, unused


def fill_output_norms(
    tensors: dict[str, Tensor], own: Mapping[str, Tensor], last: str
) -> tuple[str, ...]:
    """Adds the norms of earlier outputs to a classifier's tensors, as the identity.

    A classifier has a norm for its last stage only. Tensors with any norm of another output are
    not a classifier's, and stay as they are.

    Args:
        tensors: Tensors by the encoder's names; changed in place.
        own: Tensors of the encoder.
        last: Name of the last stage's norm, such as ``norm3``.

    Returns:
        The names that were added.
    """
    others = [
        name
        for name in own
        if re.fullmatch(r'norm\d\.(weight|bias)', name) and not name.startswith(last)
    ]
    if any(name in tensors for name in others):
        return ()
    for name in others:
        tensors[name] = torch.full_like(own[name], float(name.endswith('weight')))
    return tuple(others)


def blocks_of_stages(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Returns the number of blocks ``stages.S.blocks.B.`` of each stage.

    Example:
        >>> from rein_seg.encoders.weights import blocks_of_stages
        >>> blocks_of_stages({'stages.0.blocks.0.norm': 1, 'stages.1.blocks.2.norm': 1})
        (1, 3)
    """
    found = (re.match(r'stages\.(\d+)\.blocks\.(\d+)\.', name) for name in tensors)
    blocks = {(int(match[1]), int(match[2])) for match in found if match}
    stages = range(max((stage for stage, _ in blocks), default=-1) + 1)
    return tuple(max((b + 1 for s, b in blocks if s == stage), default=0) for stage in stages)


def check_variant(kind: str, usual: Mapping[Size, str], file: Size, own: Size) -> None:
    """Checks that a file is of the encoder's size.

    Args:
        kind: Name of the family.
        usual: Names of the sizes of the family.
        file: Width of the first stage, and blocks of each stage.
        own: Size of the encoder.

    Raises:
        UserError: If the sizes differ; the message names both.
    """
    if file != own:
        names = [usual.get(size, f'{kind} of no usual size') for size in (file, own)]
        raise UserError(
            f'the weights file is a {names[0]}: width {file[0]}, blocks {list(file[1])}; the '
            f'encoder is a {names[1]}: width {own[0]}, blocks {list(own[1])}; set encoder.arch to '
            'the file, or encoder.checkpoint to a file of this size'
        )
