"""Official weights into our encoders: names, and resampling by the rule of the publication.

C channels, p patch side, H x W grid of positions, P prefix tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.errors import UserError

# what classifiers and segmentation models have beside their backbone
HEADS = ('head.', 'fc.', 'neck.', 'decode_head.', 'auxiliary_head.')
_TRANSFORMERS = (
    r'(^|\.)(embeddings\.(patch_embeddings?|cls_token|class_embedding)\b'
    r'|layer\.\d+\.attention\.|vision_model\.)'
)


@dataclass(frozen=True)
class Converted:
    """A state dict under the encoder's own names, and what was done to get it.

    Attributes:
        tensors: Tensors by the encoder's names; strict loading follows.
        left_out: Official names that this encoder knowingly has no use for, such as a
            classification head. Anything else that is left over stays in ``tensors``, where it
            is an error.
        resampled: What was resampled, such as ``pos_embed 37x37 -> 32x32``.
        filled: Names the file has no values for and that start as the identity, knowingly.
    """

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...] = ()
    resampled: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f'resampled {", ".join(self.resampled)}'] if self.resampled else []
        parts += [f'not in the file, started anew: {", ".join(self.filled)}'] * bool(self.filled)
        more = f' and {len(self.left_out) - 5} more' if len(self.left_out) > 5 else ''
        parts += [f'left out {", ".join(self.left_out[:5])}{more}'] if self.left_out else []
        return '; '.join(parts) or 'taken as it is'


def refuse_transformers(encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Checks that a file is not in a layout of Hugging Face transformers that none here takes.

    Its SAM has names of its own, which `SAMViT` takes.

    Raises:
        UserError: If it is: names like ``embeddings.cls_token`` that are not the encoder's own.
    """
    # a text tower may be of that library without the image tower being so
    names = (n for n in state if re.search(_TRANSFORMERS, n) and 'text' not in n)
    found = next(names, None)
    if found is not None and found not in encoder.state_dict():
        raise UserError(
            f'the weights file is a Hugging Face transformers file (it has {found!r}), which '
            f"{type(encoder).__name__} does not take: give the authors' own file, which "
            "docs/reference/weights.md names, or, for type='TimmEncoder', the timm/... model's "
            'from the hub (pretrained=True, or its model.safetensors as checkpoint)'
        )


def rename(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Returns ``state`` with every rule (pattern, replacement) applied to each name, in turn.

    Raises:
        UserError: If two names become one.
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


def fill_output_norms(
    tensors: dict[str, Tensor], own: Mapping[str, Tensor], last: str
) -> tuple[str, ...]:
    """Adds to a classifier's tensors the norms of outputs that it lacks, as the identity.

    It has one norm, that of its last stage. A file with any norm of another output is not one.

    Args:
        tensors: By the encoder's names; changed in place.
        own: The encoder's.
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


def resize_patch_kernel(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes a (C, 3, p, p) patch kernel bicubically, as Rein's conversion does.

    No antialias and no rescaling: from 14 to 16 the kernel's sum grows by (16/14)^2, which the
    published adapters were trained with. Not FlexiViT's pseudo-inverse.
    """
    if tuple(weight.shape[-2:]) == tuple(size):
        return weight
    return F.interpolate(weight.float(), size=size, mode='bicubic', align_corners=False)


def shrink_patch_kernel(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns the (C, 3, p, p) kernel that `resize_patch_kernel` comes nearest to ``weight`` with.

    The least-squares inverse of enlarging: exact, but for rounding, for a kernel that was enlarged
    and then scaled channel by channel.

    Args:
        weight: (C, 3, q, q), q >= p.
        size: (p, p).
    """
    rows, columns = (
        torch.linalg.pinv(_enlarging(small, large))
        for small, large in zip(size, weight.shape[-2:], strict=True)
    )
    return (rows @ weight.double() @ columns.mT).to(weight.dtype)


def _enlarging(small: int, large: int) -> Tensor:
    """Returns the (large, small) matrix that resizes one axis bicubically, float64."""
    eye = torch.eye(small, dtype=torch.float64)[None, None]
    sizes = dict(size=(large, small), mode='bicubic', align_corners=False)
    return F.interpolate(eye, **sizes)[0, 0]


def resize_positions(
    positions: Tensor,
    grid: tuple[int, int],
    *,
    num_prefix: int = 1,
    mode: str = 'bicubic',
    antialias: bool = False,
    same_grid: bool = False,
) -> Tensor:
    """Resizes (1, P+N, C) positions of a square grid to (1, P+HW, C), by size.

    Args:
        positions: Prefix rows first; N a square number, or just the H W wanted.
        grid: (H, W) wanted.
        num_prefix: P, rows kept as they are.
        mode: bicubic or bilinear.
        antialias: As in `torch.nn.functional.interpolate`.
        same_grid: Takes just H W rows to be of the grid wanted, even if a square has as many
            (2 x 8 and 4 x 4): for files that this encoder wrote.

    Raises:
        UserError: If N is neither.
    """
    prefix, patches = positions[:, :num_prefix], positions[:, num_prefix:]
    if same_grid and patches.shape[1] == grid[0] * grid[1]:
        return positions
    side = round(patches.shape[1] ** 0.5)
    if side * side != patches.shape[1]:
        if patches.shape[1] == grid[0] * grid[1]:
            return positions
        raise UserError(
            f'positions of the weights file have {patches.shape[1]} patch rows: expected a square '
            'number; the file is of another kind of encoder'
        )
    if (side, side) == tuple(grid):
        return positions
    table = resize_grid(
        patches.reshape(1, side, side, -1), mode=mode, antialias=antialias, size=grid
    )
    return torch.cat((prefix.float(), table.flatten(1, 2)), dim=1)


def resize_grid(table: Tensor, *, mode: str, antialias: bool = False, **target: Any) -> Tensor:
    """Resizes (1, h, w, C) positions to (1, H, W, C), in float32.

    Args:
        table: The positions.
        mode: bicubic or bilinear.
        antialias: As in `torch.nn.functional.interpolate`.
        **target: ``size=(H, W)``, or ``scale_factor=``, which enters the places sampled.
    """
    channels_first = table.float().permute(0, 3, 1, 2)
    options = dict(mode=mode, align_corners=False, antialias=antialias)
    return F.interpolate(channels_first, **options, **target).permute(0, 2, 3, 1)
