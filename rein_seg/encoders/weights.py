"""Official weights under the names of our encoders; see resampling.py for their sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.registry import key_map

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


def convert_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Returns a state dict as downloaded under the names and in the sizes of ``encoder``.

    Classes without a key map take a file under their own names.

    Raises:
        UserError: If the file is recognised as one of another kind of encoder, or as one of
            Hugging Face transformers.
    """
    refuse_transformers(encoder, state)
    convert = key_map(encoder)
    return convert(encoder, state) if convert else Converted(state)


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


def strip_prefix(state: Mapping[str, Tensor], anchor: str) -> dict[str, Tensor]:
    """Takes off what stands before ``anchor``, such as ``module.``, where there is one such name.

    Raises:
        UserError: If two names become one.
    """
    found = [name for name in state if name.endswith('.' + anchor)]
    if len(found) != 1:
        return dict(state)
    return rename(state, [('^' + re.escape(found[0].removesuffix(anchor)), '')])


def leave_out(
    state: Mapping[str, Tensor], pattern: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns what does not match ``pattern`` from its start, and the names that do."""
    unused = tuple(name for name in state if re.match(pattern, name))
    return {name: tensor for name, tensor in state.items() if name not in unused}, unused


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
