"""Loads official files of SETR, and mmsegmentation's, into SETR's decoders.

L levels, E width of a joined level, K outputs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from rein_seg.checkpoint import load_strict, read_weights
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders import locate
from rein_seg.encoders.weights import Converted, leave_out, rename
from rein_seg.errors import UserError
from rein_seg.heads.setr.mla import MLADecoder
from rein_seg.heads.setr.up import UpDecoder

_PARTS = r'(?:^|.*\.)(backbone|neck|decode_head|auxiliary_head)\.'
_UP = (
    (r'^up_convs\.(\d+)\.0\.conv\.', r'conv_\1.'),
    (r'^up_convs\.(\d+)\.0\.bn\.', r'syncbn_fc_\1.'),
)
_NECK = (
    (r'^neck\.norm\.(\d+)\.', r'norm_\1.'),
    (r'^neck\.mla\.(\w+)\.(\d+)\.conv\.', r'neck.mla.\1.\2.0.'),
    (r'^neck\.mla\.(\w+)\.(\d+)\.bn\.', r'neck.mla.\1.\2.1.'),
)


def load_head(decoder: nn.Module, checkpoint: str, part: str) -> None:
    """Loads a part of a whole model's file into a decoder; logs the coverage.

    Args:
        decoder: `UpDecoder`, `MLADecoder` or `WideAuxDecoder`.
        checkpoint: Path, address or hub id of the file.
        part: ``decode_head``, or ``auxiliary_head.1`` and so on.

    Raises:
        UserError: If the file holds no such part, or another head.
    """
    if torch.empty(0).is_meta:  # a model without values, built to count parameters
        return
    what = f'{part} of SETR'
    checkpoint = locate(checkpoint, what=what, key='model.decode_head.checkpoint')
    state = read_weights(checkpoint)
    with fitting(f'{what} from {checkpoint!r}'):
        converted = convert_head(decoder, state, part)
    report = load_strict(decoder, converted.tensors, what=what, source=checkpoint, file=state)
    print_log(f'{report} ({converted})', logger='current')


def convert_head(decoder: nn.Module, state: Mapping[str, Tensor], part: str) -> Converted:
    """Converts a part of a whole model's file, official or mmsegmentation's, for ``decoder``.

    The official heads hold a ``conv_seg`` that nothing uses: it is left out. mmsegmentation's
    convolutions before a norm have no bias: it is zero. Its MLA decoder joins the levels in the
    opposite order, and its auxiliary classifiers have a bias, so that ours start anew.

    Args:
        decoder: The decoder to load into.
        state: Tensors of the file.
        part: ``decode_head``, or ``auxiliary_head.1`` and so on.

    Raises:
        UserError: If the file holds no such part, or the head of another variant.

    Example:
        >>> import torch
        >>> from rein_seg.heads.setr.up import WideAuxDecoder
        >>> from rein_seg.heads.setr.weights import convert_head
        >>> file = {f'auxiliary_head.0.aux_{i}.weight': torch.ones(3, 3, 1, 1) for i in (0, 1)}
        >>> list(convert_head(WideAuxDecoder(3, 3), file, 'auxiliary_head.0').tensors)
        ['aux_0.weight', 'aux_1.weight']
    """
    tensors = {re.sub(_PARTS, r'\1.', name, count=1): tensor for name, tensor in state.items()}
    own = {k.removeprefix(f'{part}.'): v for k, v in tensors.items() if k.startswith(f'{part}.')}
    if not own:
        raise UserError(
            f"the weights file has no {part!r}, which a SETR model's file has: give such a file in "
            'checkpoint, or start at random with checkpoint=None'
        )
    _check_variant(decoder, own)
    theirs = any(name.startswith('up_convs.') for name in own)
    if isinstance(decoder, MLADecoder):
        return _mla_of_mmseg(decoder, tensors, own) if theirs else _mla(decoder, tensors, own)
    unused = (
        r'conv_seg\.' if isinstance(decoder, UpDecoder) and decoder.norm else r'conv_seg\.|norm\.'
    )
    if not theirs:
        return Converted(*leave_out(own, unused))
    renamed = rename(own, (*_UP, (r'^conv_seg\.', f'{decoder.classifier}.')))
    biases = {
        name: torch.zeros_like(tensor)
        for name, tensor in decoder.state_dict().items()
        if re.fullmatch(r'conv_\d+\.bias', name) and name not in renamed
    }
    return Converted({**renamed, **biases}, filled=tuple(biases))


def _mla(
    decoder: MLADecoder, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> Converted:
    neck = {
        name.removeprefix('backbone.'): tensor
        for name, tensor in tensors.items()
        if re.match(r'backbone\.(norm_\d+|mla)\.', name)
    }
    others = {k: v for k, v in tensors.items() if k.startswith('auxiliary_head.')}
    if not len(decoder.auxiliary_head):
        others = {}
    kept, left_out = leave_out({**neck, **own, **others}, r'(auxiliary_head\.\d+\.)?conv_seg\.')
    return Converted(kept, left_out)


def _mla_of_mmseg(
    decoder: MLADecoder, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> Converted:
    """Converts mmseg's layout, in which level j of sums and head is our level L-1-j."""
    last = decoder.num_levels + 1

    def place(name: str) -> str:
        name = re.sub(
            r'^neck\.mla\.channel_proj\.(\d+)', lambda m: f'mla.mla_p{int(m[1]) + 2}_1x1', name
        )
        name = re.sub(
            r'^neck\.mla\.feat_extract\.(\d+)', lambda m: f'mla.mla_p{last - int(m[1])}', name
        )
        name = re.sub(
            r'^up_convs\.(\d+)\.([01])\.(conv|bn)',
            lambda m: f'mlahead.head{last - int(m[1])}.{3 * int(m[2]) + (m[3] == "bn")}',
            name,
        )
        return re.sub(r'^conv_seg\.', 'cls.', name)

    neck = {k: v for k, v in tensors.items() if k.startswith('neck.')}
    renamed = {place(name): v for name, v in {**rename(neck, _NECK), **own}.items()}
    weight = renamed['cls.weight']  # (K, L E, 1, 1), last level first
    levels = weight.unflatten(1, (decoder.num_levels, -1))
    renamed['cls.weight'] = levels.flip(1).flatten(1, 2)
    anew = {k: v for k, v in decoder.state_dict().items() if k.startswith('auxiliary_head.')}
    others = tuple(name for name in tensors if name.startswith('auxiliary_head.'))
    return Converted({**renamed, **anew}, left_out=others, filled=tuple(anew))


def _check_variant(decoder: nn.Module, own: Mapping[str, Tensor]) -> None:
    """Names the variant of a file that another decoder could not load."""
    layers = {m[0] for name in own if (m := re.match(r'conv_\d+\.|up_convs\.\d+\.', name))}
    theirs = any(name.startswith('up_convs.') for name in own)
    if any(re.match(r'mlahead\.|up_convs\.\d+\.1\.', name) for name in own):
        found = 'MLA'
    elif 'aux_0.weight' in own:
        found = 'wide_aux'
    elif layers:
        found = _described(len(layers) - (not theirs))  # the official classifier is one of them
    else:
        return
    wanted = 'MLA' if isinstance(decoder, MLADecoder) else 'wide_aux'
    if isinstance(decoder, UpDecoder):
        wanted = _described(len(decoder.up_scales))
    if found != wanted:
        raise UserError(
            f'the weights file holds {found}, the head is {wanted}: set variant to the file '
            "('naive' has 1 convolution, 'pup' 4, 'pup_aux' 1; 'mla', 'wide_aux')"
        )


def _described(convs: int) -> str:
    return f'an upsampling head of {convs} convolution{"s" * (convs > 1)} and a classifier'
