"""Official checkpoints of PMT: batch norms and decoder; the frozen encoder is the model's.

C channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.official import check_encoder
from rein_seg.checkpoint.strict import fitting
from rein_seg.errors import UserError
from rein_seg.heads.pmt import PMTHead
from rein_seg.models.eomt_file import authors_names
from rein_seg.models.plain_mask_file import HEAD, check_head, is_delta, split
from rein_seg.peft.methods.frozen import Frozen
from rein_seg.registry import register_whole_file

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

_WHAT = 'official PMT checkpoint'
_DECODER = 'decoder.'
_FUSED = re.compile(r'(.*\.attention\.)qkv_proj\.(weight|bias)')


def is_pmt(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of PMT's repository.

    Example:
        >>> import torch
        >>> from rein_seg.models.pmt_file import is_pmt
        >>> is_pmt({'network.decoder.q.weight': torch.ones(1)})
        True
    """
    return 'network.decoder.q.weight' in state


def split_fused(state: Mapping[str, Tensor], text: str) -> dict[str, Tensor]:
    """Returns the decoder with queries, keys and values apart (``fuse_decoder_qkv``).

    The fused form has a bias for keys, the other has none: only zeros can be left out.

    Args:
        state: Tensors of the decoder.
        text: Kind and name of the file, for messages.

    Raises:
        UserError: If a fused bias of keys is not zero.

    Example:
        >>> import torch
        >>> from rein_seg.models.pmt_file import split_fused
        >>> list(split_fused({'blocks.0.attention.qkv_proj.bias': torch.zeros(6)}, 'the file'))
        ['blocks.0.attention.q_proj.bias', 'blocks.0.attention.v_proj.bias']
    """
    apart: dict[str, Tensor] = {}
    for name, tensor in state.items():
        found = _FUSED.fullmatch(name)
        if found is None:
            apart[name] = tensor
            continue
        place, kind = found.groups()
        for letter, part in zip('qkv', tensor.chunk(3), strict=True):
            if (letter, kind) != ('k', 'bias'):
                apart[f'{place}{letter}_proj.{kind}'] = part
            elif part.any():
                raise UserError(
                    f'{text}: {name!r} was trained with a bias for keys (fuse_decoder_qkv), and '
                    'with rotary positions it has an effect: PMTHead has none, so the file cannot '
                    'be loaded'
                )
    return apart


@register_whole_file(is_pmt)
def load_pmt(state: Mapping[str, Tensor], model: PEFTSegmentor, *, source: str) -> str:
    """Loads an official file into a segmentor; returns the coverage report.

    Published files hold no encoder. An encoder in the file must equal the model's.

    Args:
        state: Tensors by official name.
        model: A segmentor with method `Frozen` and `PMTHead`.
        source: Name of the file.

    Raises:
        UserError: If method, encoder or head of the model are others, the encoder is random, or
            sizes differ.
    """
    text = f'{_WHAT} {source!r}'
    method, head = model.backbone.peft, model.decode_head
    if not isinstance(head, PMTHead) or not isinstance(method, Frozen):
        raise UserError(
            f'{text} holds a PMT head for a frozen encoder, the config has '
            f'{type(head).__name__} and method {type(method).__name__}: take a config of PMT, such '
            'as pmt_frozen_dinov3_large_gtav'
        )
    with fitting(text, named=True):
        parts = split(state)
        if is_delta(parts, text):
            raise UserError(f'{text}: a file of differences, expected whole tensors')
        parts = parts.with_head(split_fused(parts.head, text))
        check_head(parts, model, text, _DECODER)
        compared = check_encoder(authors_names(parts.backbone), model, text)
        tensors = {f'{HEAD}{name.removeprefix(_DECODER)}': x for name, x in parts.head.items()}
        tensors |= parts.other
    report = load_strict(model, tensors, what=_WHAT, source=source, file=state)
    if parts.left_out:
        report += f'; left out: {", ".join(parts.left_out)}'
    if compared:
        return f'{report}; its {compared} encoder tensors equal the loaded ones'
    return f'{report}; it does not say which encoder it was trained on: that is not checked'
