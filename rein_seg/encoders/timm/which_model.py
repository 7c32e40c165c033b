"""Finds the timm model that a weights file is of, where it is not of the one that was asked for."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.encoders.timm.file_filter import filter_file
from rein_seg.encoders.timm.sizes import create_sized
from rein_seg.encoders.timm.stages_names import is_classifier, timm_names
from rein_seg.encoders.weights import HEADS
from rein_seg.errors import UserError

_SECONDS = 1.0  # of this thread, for a better message
_SIZES = 'zepto|atto|femto|pico|nano|tiny|small|base|large|huge|giant|x*large|[bsmlth]|x+l'
_SIZE_WORDS = re.compile(rf'(?<![a-z])(?:{_SIZES})(?![a-z])|\d+')


def check_architecture(
    state: Mapping[str, Tensor], encoder: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Checks that a weights file is not of another model of the same family.

    Args:
        state: The file, as downloaded.
        encoder: A `TimmStages`.
        tensors: The file under the encoder's names.

    Raises:
        UserError: If it does not fit, and another timm model, or the same one without the arguments
            of the config, does. A file that fits none is left to strict loading, which lists all.
    """
    name, own = encoder.model_name, encoder.state_dict()
    same_names = tensors.keys() == own.keys()  # a deeper model of the family has more
    if same_names and all(tensors[key].shape == own[key].shape for key in own):
        return
    file = {key: torch.empty_like(value, device='meta') for key, value in state.items()}
    if encoder.img_size is not None and _fits(file, name, encoder.model_args):
        raise UserError(_size_of(encoder, tensors))
    if encoder.model_args and _fits(file, name):
        raise UserError(
            f'the weights file is of timm model {name!r}, which encoder.model_args='
            f'{encoder.model_args} changes: leave out the arguments that change tensors, or give '
            'a file of this architecture'
        )
    found = model_of_file(file, name)
    if found is not None:
        raise UserError(
            f'the weights file fits timm model {found!r}, not {name!r}: set '
            f'encoder.model={found!r}, or give the file of {name!r}'
        )


def model_of_file(file: Mapping[str, Tensor], name: str) -> str | None:
    """Returns the name of a timm model of the same family that a file fits, or None.

    Models with names like ``name`` are tried first, for a second in all.

    Args:
        file: Tensors by name, with or without values.
        name: timm's name of a model that the file does not fit.

    Example:
        >>> import timm
        >>> from rein_seg.encoders.timm.which_model import model_of_file
        >>> model_of_file(timm.create_model('resnet10t').state_dict(), 'resnet14t')
        'resnet10t'
    """
    start = time.thread_time()
    for candidate in _relatives(name):
        if _fits(file, candidate):
            return candidate
        if time.thread_time() - start > _SECONDS:
            return None
    return None


def _fits(file: Mapping[str, Tensor], name: str, args: Mapping[str, Any] | None = None) -> bool:
    """Returns whether a file has each tensor of a model in its shape, and no others.

    Parts behind the stages can be absent as a whole.
    """
    try:
        with torch.device('meta'):
            whole = create_sized(name, None, args or {})
        names = {key: key for key in whole.state_dict()}
        found = filter_file(timm_names(file, names)[0], whole, name)
    except UserError:
        return False
    own = {k: v for k, v in whole.state_dict().items() if not k.endswith('num_batches_tracked')}
    own = {key: value for key, value in own.items() if not is_classifier(key, whole)}
    parts = {key.partition('.')[0] for key in own.keys() & found.keys()}
    if any(key.partition('.')[0] in parts for key in own.keys() - found.keys()):
        return False
    known = {*whole.state_dict(), *(key for key, _ in whole.named_buffers())}
    strange = [key for key in found if key not in known and not is_classifier(key, whole)]
    if not parts or any(not key.startswith(HEADS) for key in strange):
        return False
    return all(found[key].shape == own[key].shape for key in own.keys() & found.keys())


def _relatives(name: str) -> list[str]:
    """Returns the other models of a family, those with names like ``name`` first."""
    import timm
    from timm.models import model_entrypoint

    name = name.partition('.')[0]
    module = model_entrypoint(name).__module__.rpartition('.')[2]
    others = [other for other in timm.list_models(module=module) if other != name]
    shape = _SIZE_WORDS.sub('#', name)

    def distance(other: str) -> tuple[bool, float, str]:
        ratio = difflib.SequenceMatcher(None, name, other).ratio()
        return _SIZE_WORDS.sub('#', other) != shape, -ratio, other

    return sorted(others, key=distance)


def _size_of(encoder: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Returns a message on tables that are of another size of images."""
    for key, own in encoder.state_dict().items():
        found = tensors.get(key)
        if found is not None and found.shape != own.shape:
            return (
                f'the weights file is of timm model {encoder.model_name!r} at '
                f'{encoder.sizes.native} (height, width), and timm has no rule to resize '
                f'{key.removeprefix("model.")} from {tuple(found.shape)} to {tuple(own.shape)}: '
                f'set encoder.img_size={list(encoder.sizes.native)}'
            )
    return f'the weights file does not fit timm model {encoder.model_name!r} at this img_size'
