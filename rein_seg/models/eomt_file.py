"""Official checkpoints of EoMT: the trained encoder and the head, whole or as differences.

Q queries, K classes, M blocks that see the queries, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.official import check_encoder
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.transformers_layout import from_transformers
from rein_seg.encoders.weights import rename
from rein_seg.errors import UserError
from rein_seg.heads.eomt import EoMTHead
from rein_seg.models.plain_mask_file import HEAD, Parts, check_head, is_delta, split
from rein_seg.models.whole_file import check_full, convert_encoder
from rein_seg.peft.methods.frozen import Frozen
from rein_seg.peft.methods.full import Full
from rein_seg.registry import register_whole_file

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

_WHAT = 'official EoMT checkpoint'
_PROBS = 'attn_mask_probs'
# the official code moves the parts of transformers' DINOv3 to the places of timm's
_MOVED = 'patch_embed.register_tokens'
_BACK = ((r'^patch_embed\.', 'embeddings.'), (r'^blocks\.', 'layer.'))


def is_eomt(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of EoMT's repository.

    Example:
        >>> import torch
        >>> from rein_seg.models.eomt_file import is_eomt
        >>> names = ('network.q.weight', 'network.class_head.bias')
        >>> is_eomt({name: torch.ones(1) for name in names})
        True
    """
    return 'network.q.weight' in state and 'network.class_head.bias' in state


def authors_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a backbone under the names of its authors; timm's names stay as they are.

    Args:
        state: Tensors by the names below ``network.encoder.backbone.``.

    Example:
        >>> import torch
        >>> from rein_seg.models.eomt_file import authors_names
        >>> state = {f'blocks.0.attention.{x}_proj.weight': torch.ones(4, 4) for x in 'qkv'}
        >>> state['patch_embed.register_tokens'] = torch.ones(1, 4, 4)
        >>> state['patch_embed.patch_embeddings.weight'] = torch.ones(4, 3, 2, 2)
        >>> list(authors_names(state))
        ['blocks.0.attn.qkv.weight', 'storage_tokens', 'patch_embed.proj.weight']
    """
    if _MOVED not in state:
        return dict(state)
    return from_transformers(torch.nn.Identity(), rename(state, _BACK))[0]


@register_whole_file(is_eomt)
def load_eomt(state: Mapping[str, Tensor], model: PEFTSegmentor, *, source: str) -> str:
    """Loads an official file into a segmentor; returns the coverage report.

    With method `Full` the encoder in the file is loaded; with `Frozen` it must equal the model's.
    The published files of DINOv3 hold differences: the encoder's are added to the pretrained
    encoder, buffers to their first values, and all other parameters are whole. Such a file is told
    by its standard deviation of pixels, which is zero.

    Args:
        state: Tensors by official name.
        model: A segmentor with `EoMTHead`.
        source: Name of the file.

    Raises:
        UserError: If method, encoder or head of the model are others, sizes differ, or differences
            would be added to an encoder that is random or has been trained.
    """
    text = f'{_WHAT} {source!r}'
    _check_parts(model, text)
    with fitting(text, named=True):
        parts = split(state)
        delta = is_delta(parts, text)
        if delta:
            parts = _with_buffers(parts, model, text)
        check_head(parts, model, text)
        tensors = {f'{HEAD}{name}': x for name, x in parts.head.items()}
        tensors |= parts.other
        backbone = authors_names(parts.backbone)
        if isinstance(model.backbone.peft, Frozen):
            compared = check_encoder(backbone, model, text)
            note = f'; its {compared} encoder tensors equal the loaded ones'
        else:
            note = _convert(backbone, model, tensors, text, delta=delta)
    report = load_strict(model, tensors, what=_WHAT, source=source, file=state)
    if parts.left_out:
        report += f'; left out: {", ".join(parts.left_out)}'
    return report + note


def _check_parts(model: PEFTSegmentor, text: str) -> None:
    if not isinstance(model.decode_head, EoMTHead):
        raise UserError(
            f'{text} holds an EoMT head, the config has {type(model.decode_head).__name__}: take a '
            'config of EoMT, such as eomt_full_dinov2_large_gtav'
        )
    if not isinstance(model.backbone.peft, Frozen):
        check_full(model, text)


def _convert(
    backbone: Mapping[str, Tensor],
    model: PEFTSegmentor,
    tensors: dict[str, Tensor],
    text: str,
    *,
    delta: bool,
) -> str:
    """Puts the encoder's tensors into ``tensors``; returns words for the report."""
    done = convert_encoder(backbone, model, text)
    own = model.backbone.encoder.state_dict()
    for name, tensor in done.tensors.items():
        whole = own[name] + tensor.to(own[name].dtype) if delta and name in own else tensor
        tensors[f'backbone.encoder.{name}'] = whole
    note = f'; encoder: {done}'
    if delta:
        weights = model.backbone.encoder_info.weights
        note += (
            f'; differences added to the loaded encoder ({weights[:18]}): the file does not say '
            'whose differences they are'
        )
    return note


def _with_buffers(parts: Parts, model: PEFTSegmentor, text: str) -> Parts:
    """Adds the first values of buffers; checks that the encoder is the one that was loaded."""
    method, info = model.backbone.peft, model.backbone.encoder_info
    if not isinstance(method, Full):
        raise UserError(
            f'{text} holds differences to a pretrained encoder, the method is '
            f"{type(method).__name__}: set model.backbone.peft.type='Full'"
        )
    if info.weights.startswith('random:'):
        raise UserError(
            f'{text} holds differences to a pretrained encoder, and the encoder of the config '
            f'({info.name!r}) has random weights: give the pretrained file in '
            'model.backbone.encoder.checkpoint'
        )
    if method.changed:
        raise UserError(
            f'{text} holds differences to a pretrained encoder, and the encoder of the model '
            f'({info.name!r}) has been trained or loaded since it was built: build the model anew'
        )
    head = dict(parts.head)
    if _PROBS in head:
        head[_PROBS] = head[_PROBS] + 1  # (M,), ones at the start
    return parts.with_head(head)
