"""Loads the decode head of ZegCLIP's official files into `ATMHead`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rein_seg.encoders.weights import Converted, leave_out
from rein_seg.heads.atm.head import ATMHead

# a buffer of a loss that the official training never calls
_CRITERION = r'loss_decode\.criterion\.'
_NEVER_USED = r'decoder_1\.layers\.\d+\.(self_attn|norm1)\.'


def convert_atm(head: ATMHead, state: Mapping[str, Tensor]) -> Converted:
    """Returns the head's tensors of an official file; the names are the official ones.

    Without ``official_layout`` the parts that the official head never uses, and the parts of its
    last layer that get no gradient, are left out.

    Args:
        head: The head to load into.
        state: Tensors of the file, without ``decode_head.``.

    Example:
        >>> from rein_seg.heads import ATMHead
        >>> from rein_seg.heads.atm.weights import convert_atm
        >>> sizes = dict(num_classes=3, joint_dims=16, text_dims=16, num_heads=2)
        >>> official = ATMHead(**sizes, official_layout=True).state_dict()
        >>> converted = convert_atm(ATMHead(**sizes), official)
        >>> len(official), len(converted.tensors), len(converted.left_out)
        (68, 38, 30)
    """
    last = len(head.decoder_1.layers) - 1
    no_gradient = rf'decoder_1\.layers\.{last}\.(multihead_attn\.(v|proj)|linear[12]|norm[23])\.'
    unused = _CRITERION if head.official_layout else f'{_CRITERION}|{_NEVER_USED}|{no_gradient}'
    return Converted(*leave_out(state, unused))
