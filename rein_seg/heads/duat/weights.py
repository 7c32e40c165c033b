"""Loads official files of DuAT, which hold encoder and decoder, into the decoder."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rein_seg.encoders.weights import Converted, leave_out, strip_prefix
from rein_seg.errors import UserError

_ANCHOR = 'SBA.fc1.weight'
# GLSA holds three layers that it never calls: a convolution, channel and spatial attention
NEVER_USED = r'(GLSA_c[234]\.)?(conv1_1_1|local\.ca|local\.sa)\.'
_ENCODER = r'backbone\.'


def convert_duat(state: Mapping[str, Tensor]) -> Converted:
    """Returns the decoder's tensors of an official file; the names are the official ones.

    Args:
        state: Tensors of the file.

    Raises:
        UserError: If the file holds no decoder of DuAT.

    Example:
        >>> import torch
        >>> from rein_seg.heads.duat import convert_duat
        >>> names = ['backbone.norm1.bias', 'SBA.fc1.weight', 'GLSA_c2.local.sa.conv1.weight']
        >>> converted = convert_duat({name: torch.zeros(1) for name in names})
        >>> list(converted.tensors), converted.left_out
        (['SBA.fc1.weight'], ('backbone.norm1.bias', 'GLSA_c2.local.sa.conv1.weight'))
    """
    tensors = strip_prefix(state, _ANCHOR)
    if _ANCHOR not in tensors:
        raise UserError(
            f'the weights file holds no decoder of DuAT: of its {len(tensors)} tensors none is '
            f'called {_ANCHOR}; give a file that the official code saved, or start at random with '
            'decode_head.checkpoint=None'
        )
    tensors, left_out = leave_out(tensors, f'{_ENCODER}|{NEVER_USED}')
    return Converted(tensors, left_out)
