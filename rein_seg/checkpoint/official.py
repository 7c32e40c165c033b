"""Checkpoints of the official Rein repository: recognised, renamed, checked in words.

Such a file holds Rein's tokens and a Mask2Former head, and sometimes the whole encoder too.
L blocks, M tokens, r rank, C channels, D query width, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.checkpoint.strict import fitting, load_strict
from rein_seg.errors import UserError
from rein_seg.registry import key_map, register_whole_file

_THEIRS, _OURS = 'backbone.reins.', 'backbone.peft.stages.'
_QUERY_LINEARS = ('transform.', 'merge.')
# both may have been resampled, on different machines
_TOLERANCE = dict(rtol=1e-4, atol=1e-5)


@dataclass(frozen=True)
class OfficialRein:
    """The content of an official file.

    Attributes:
        tensors: Tokens and head, by our names.
        encoder: Tensors of the encoder by official names, without ``backbone.``; often empty.
    """

    tensors: dict[str, Tensor]
    encoder: dict[str, Tensor]


def is_official(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of the official Rein repository.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import is_official
        >>> is_official({'backbone.reins.scale': torch.ones(())})
        True
    """
    return any(name.startswith(_THEIRS) for name in state)


def from_official(state: Mapping[str, Tensor]) -> OfficialRein:
    """Renames ``backbone.reins.X`` and ``backbone.reins.{stage}.X`` to our names.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.official import from_official
        >>> list(from_official({'backbone.reins.scale': torch.ones(())}).tensors)
        ['backbone.peft.stages.0.scale']
    """
    tensors, encoder = {}, {}
    for name, tensor in state.items():
        if name.startswith(_THEIRS):
            staged = re.match(r'\d+\.', name.removeprefix(_THEIRS))
            tensors[_OURS + ('' if staged else '0.') + name.removeprefix(_THEIRS)] = tensor
        elif name.startswith('backbone.'):
            encoder[name.removeprefix('backbone.')] = tensor
        else:
            tensors[name] = tensor
    return OfficialRein(tensors, encoder)


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns our state dict of Rein and a Mask2Former head by the official names.

    Raises:
        UserError: If it holds anything else: another method, another head, a neck.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import to_official
        >>> ours = {'backbone.peft.stages.0.scale': torch.ones(()),
        ...         'decode_head.cls_embed.weight': torch.ones(20, 256)}
        >>> list(to_official(ours))
        ['backbone.reins.scale', 'decode_head.cls_embed.weight']
    """
    stages = {name.removeprefix(_OURS).split('.', 1)[0] for name in state if _is_token(name)}
    if not stages or 'decode_head.cls_embed.weight' not in state:
        raise UserError(
            'the official layout holds Rein and a Mask2Former head: a model with another method '
            'or head has no place in it'
        )
    official = {}
    for name, tensor in state.items():
        if _is_token(name):
            stage, rest = name.removeprefix(_OURS).split('.', 1)
            name = _THEIRS + (f'{stage}.' if len(stages) > 1 else '') + rest
        elif not name.startswith('decode_head.'):
            raise UserError(f'the official layout has no place for {name!r}')
        official[name] = tensor
    return official


@register_whole_file(is_official)
def load_official(state: Mapping[str, Tensor], model: nn.Module, *, source: str) -> str:
    """Loads an official file into a segmentor, every tensor of it; returns the coverage report.

    Query linears of a model whose queries are not linked, and a fixed scale, are left out.

    Raises:
        UserError: If the method is not Rein, sizes differ, the encoder's weights are random, or
            the file holds another encoder.
    """
    text = f'official Rein checkpoint {source!r}'
    content = from_official(state)
    wanted = model.state_dict()
    _check_method(model, wanted, text)
    with fitting(text, named=True):
        _check_tokens(content.tensors, wanted, text)
        _check_head(content.tensors, wanted, text)
        compared = check_encoder(content.encoder, model, text)
        tensors, left_out = _leave_out(content.tensors, wanted, text)
    report = load_strict(model, tensors, what='official Rein checkpoint', source=source, file=state)
    if left_out:
        report += f'; left out, not used by this config: {", ".join(left_out)}'
    if compared:
        return f'{report}; its {compared} encoder tensors equal the loaded ones'
    return f'{report}; it does not say which encoder it was trained on: that is not checked'


def _is_token(name: str) -> bool:
    return name.startswith(_OURS)


def _check_method(model: nn.Module, wanted: Mapping[str, Tensor], source: str) -> None:
    if not any(map(_is_token, wanted)):
        method = type(model.backbone.peft).__name__
        raise UserError(
            f"{source} holds Rein's tokens, but the config's method is {method}: set "
            "model.backbone.peft.type='Rein'"
        )


def _check_tokens(have: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    """Compares the sizes of the tokens, stage by stage."""
    theirs, ours = _token_sizes(have), _token_sizes(wanted)
    if len(theirs) != len(ours):
        raise UserError(
            f'{source} has Rein in {len(theirs)} stages, the encoder of the config has '
            f'{len(ours)}: it was made for another kind of encoder'
        )
    for stage, sizes in theirs.items():
        for what, value in sizes.items():
            expected = ours.get(stage, {}).get(what)
            if expected is not None and value != expected:
                raise UserError(
                    f'{source} has {what}={value}, the config gives {expected} (stage {stage}): '
                    'use the encoder and the peft arguments that it was trained with'
                )


def _token_sizes(state: Mapping[str, Tensor]) -> dict[str, dict[str, int]]:
    """Returns stage -> sizes of its tokens."""
    found: dict[str, dict[str, int]] = {}
    for name, tensor in state.items():
        if not _is_token(name):
            continue
        stage, leaf = name.removeprefix(_OURS).split('.', 1)
        sizes = found.setdefault(stage, {})
        shape = tuple(tensor.shape)
        if leaf == 'learnable_tokens_a':  # (L, M, r)
            sizes |= dict(zip(('blocks', 'num_tokens', 'rank'), shape, strict=True))
        elif leaf == 'learnable_tokens_b':  # (L, r, C)
            sizes['width'] = shape[2]
        elif leaf == 'learnable_tokens':  # (L, M, C)
            sizes |= dict(zip(('blocks', 'num_tokens', 'width'), shape, strict=True), rank=0)
        elif leaf == 'transform.weight':  # (D, C)
            sizes['query_dims'] = shape[0]
    return found


def _check_head(have: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    name = 'decode_head.cls_embed.weight'  # (K+1, D): the last row is "no object"
    if name not in have:
        raise UserError(f'{source} holds no Mask2Former head ({name} is missing)')
    if name not in wanted:
        raise UserError(
            f'{source} holds a Mask2Former head, the config has another: take '
            "'./_base_/heads/mask2former.py' among its bases"
        )
    theirs, ours = len(have[name]) - 1, len(wanted[name]) - 1
    if theirs != ours:
        raise UserError(
            f'{source} was made for {theirs} classes, the config has num_classes={ours}: use a '
            'benchmark with the classes it was trained on'
        )


def _leave_out(
    have: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Drops query linears that are not used, and a scale that is the constant 1."""
    kept, left_out = dict(have), []
    for name in filter(_is_token, have):
        leaf = name.removeprefix(_OURS).split('.', 1)[1]
        if name in wanted or not (leaf == 'scale' or leaf.startswith(_QUERY_LINEARS)):
            continue
        if leaf == 'scale' and have[name].item() != 1:
            raise UserError(
                f'{source} has a learned scale ({have[name].item():g}), but peft.zero_init=True '
                'fixes it at 1: leave zero_init out'
            )
        left_out.append(name.removeprefix('backbone.peft.'))
        del kept[name]
    return kept, left_out


def check_encoder(have: dict[str, Tensor], model: Any, source: str) -> int:
    """Compares the encoder in a file with the model's; returns the number of its tensors.

    Args:
        have: Tensors by official names, without ``backbone.``; none where the file has no encoder.
        model: The segmentor.
        source: Kind and name of the file, for messages.

    Raises:
        UserError: If they differ, or the file has none and the model's is random.
    """
    encoder, info = model.backbone.encoder, model.backbone.encoder_info
    if not have:
        if info.weights.startswith('random:'):
            raise UserError(
                f'{source} holds no encoder, and the encoder of the config ({info.name!r}) has '
                "random weights: give the encoder's official file in "
                'model.backbone.encoder.checkpoint'
            )
        return 0
    convert = key_map(encoder)
    try:
        state = convert(encoder, have).tensors if convert else have
    except UserError as error:
        raise UserError(
            f"{source}: the backbone in the file is not the config's {info.name!r}: {error}"
        ) from error
    other = differing(encoder.state_dict(), state, **_TOLERANCE)
    if other:
        more = f' and {len(other) - 3} more' if len(other) > 3 else ''
        raise UserError(
            f"{source}: the backbone in the file is not the config's {info.name!r} "
            f'({info.weights[:18]}); {", ".join(other[:3])}{more} differ; use the encoder file '
            'and image size that it was trained with'
        )
    return len(state)


def differing(
    own: Mapping[str, Tensor], other: Mapping[str, Tensor], *, rtol: float, atol: float
) -> list[str]:
    """Returns the names of tensors that are in one place only, or not close.

    Args:
        own: Tensors by name.
        other: The same.
        rtol: As `torch.allclose`.
        atol: As `torch.allclose`.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.official import differing
        >>> differing({'a': torch.ones(2)}, {'a': torch.ones(3)}, rtol=1e-4, atol=1e-5)
        ['a']
    """

    def close(a: Tensor, b: Tensor) -> bool:
        near = dict(rtol=rtol, atol=atol)
        return a.shape == b.shape and torch.allclose(a.cpu().float(), b.cpu().float(), **near)

    shared = own.keys() & other.keys()
    return sorted(own.keys() ^ other.keys() | {n for n in shared if not close(own[n], other[n])})
