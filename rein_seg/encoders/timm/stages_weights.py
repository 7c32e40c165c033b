"""Weights files into timm's networks of stages, by the names of timm's whole models.

Files of another model of the family are refused with its name; see which_model.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from rein_seg.encoders.timm.build import join_biases
from rein_seg.encoders.timm.file_filter import filter_file
from rein_seg.encoders.timm.sizes import create_sized
from rein_seg.encoders.timm.stages import TimmStages
from rein_seg.encoders.timm.stages_names import is_classifier, stage_names, timm_names
from rein_seg.encoders.timm.weights import joined_biases
from rein_seg.encoders.timm.which_model import check_architecture
from rein_seg.encoders.weights import HEADS, Converted
from rein_seg.registry import register_key_map

_COUNTER = 'num_batches_tracked'


@register_key_map(TimmStages)
def timm_stages_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Returns a weights file under the encoder's names; see `convert_stages_weights`.

    Raises:
        UserError: If the file is of another architecture; the message names the timm model that it
            fits, where one of the family does.
    """
    name = encoder.model_name
    with torch.device('meta'):
        whole = create_sized(name, encoder.img_size, encoder.model_args)
        for part in whole.modules():  # as in the encoder
            join_biases(part)
    done = convert_stages_weights(state, encoder.model, whole, name=name)
    tensors = {f'model.{key}': value for key, value in done.tensors.items()}
    check_architecture(state, encoder, tensors)
    return replace(done, tensors=tensors)


def convert_stages_weights(
    state: Mapping[str, Tensor], network: nn.Module, whole: nn.Module, *, name: str
) -> Converted:
    """Returns a weights file under the names of a network of stages.

    Takes timm's own files, official files that timm's filter for the model takes, files of the
    first EfficientNet port, and files of the network itself, each with any prefix. Names that
    nothing knows stay, for strict loading to report.

    Args:
        state: Tensors by name, as downloaded.
        network: timm's network of stages.
        whole: The same model as timm builds it without ``features_only``, of the same size.
        name: timm's name.

    Raises:
        UserError: If timm cannot read the file.

    Example:
        >>> import timm
        >>> from rein_seg.encoders.timm.stages_weights import convert_stages_weights
        >>> name = 'mobilenetv3_small_050'
        >>> network = timm.create_model(name, features_only=True)
        >>> whole = timm.create_model(name)
        >>> done = convert_stages_weights(whole.state_dict(), network, whole, name=name)
        >>> done.tensors.keys() == network.state_dict().keys(), done.left_out[:2]
        (True, ('classifier.bias', 'classifier.weight'))
    """
    names, own = stage_names(network, whole), network.state_dict()
    file, same_grid = timm_names(state, names)
    filtered = filter_file(file, whole, name, same_grid=same_grid)
    unused = _unused(whole)
    tensors: dict[str, Tensor] = {}
    left_out = set(_dropped(file, filtered))
    if not any(key.endswith('.q_bias') for key in names):
        filtered = joined_biases(filtered)
    for key, value in filtered.items():
        if key in names:
            tensors[names[key]] = value
        elif key in unused or key.startswith(HEADS) or is_classifier(key, whole):
            left_out.add(key)
        else:
            tensors[key] = value
    for key in own:  # files from before PyTorch 0.4 lack the counter; eval mode does not use it
        if key.endswith(_COUNTER) and key not in tensors:
            tensors[key] = torch.zeros((), dtype=torch.long)
    return Converted(tensors, tuple(sorted(left_out)), _resampled(file, filtered, names))


def _unused(whole: nn.Module) -> set[str]:
    """Returns tensors of the whole model, with tables that are computed when it is built."""
    return {*whole.state_dict(), *(key for key, _ in whole.named_buffers())}


def _dropped(file: Mapping[str, Tensor], filtered: Mapping[str, Tensor]) -> list[str]:
    """Returns the names whose values timm's filter left out."""
    taken = {value.data_ptr() for value in filtered.values()}
    return [k for k, v in file.items() if k not in filtered and v.data_ptr() not in taken]


def _resampled(
    file: Mapping[str, Tensor], filtered: Mapping[str, Tensor], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Returns a line for each kind of tensor that was resized."""
    notes: dict[str, None] = {}
    for key in names:
        before, after = file.get(key), filtered.get(key)
        if before is not None and after is not None and before is not after:
            kind = re.sub(r'\d+', '*', key)
            notes[f'{kind} {_by(before)} -> {_by(after)}'] = None
    return tuple(notes)


def _by(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape))
