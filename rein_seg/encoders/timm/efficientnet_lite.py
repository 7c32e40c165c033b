"""Files of the first EfficientNet port to PyTorch, such as EfficientNet-Lite's, by timm's names.

These files number all blocks in one row (``_blocks.7._expand_conv``); timm numbers the blocks of
each stage (``blocks.3.2.conv_pw``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

# (theirs, timm's) around the blocks
_AROUND = (
    ('_conv_stem', 'conv_stem'),
    ('_bn0', 'bn1'),
    ('_conv_head', 'conv_head'),
    ('_bn1', 'bn2'),
    ('_fc', 'classifier'),
)
_EXPANDING = {
    **dict(_expand_conv='conv_pw', _bn0='bn1', _depthwise_conv='conv_dw', _bn1='bn2'),
    **dict(_project_conv='conv_pwl', _bn2='bn3'),
}
_SEPARABLE = dict(_depthwise_conv='conv_dw', _bn1='bn1', _project_conv='conv_pw', _bn2='bn2')


def to_timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Returns an EfficientNet-Lite file under the names of timm's classifier.

    A block begins a stage if it changes the number of channels. Unknown names stay as they are, for
    strict loading to report.

    Args:
        state: Tensors by name, as downloaded, in any order.

    Returns:
        None if the file is of another layout.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.timm.efficientnet_lite import to_timm_names
        >>> part = {
        ...     '_blocks.0._depthwise_conv.weight': torch.zeros(32, 1, 3, 3),
        ...     '_blocks.0._project_conv.weight': torch.zeros(16, 32, 1, 1),
        ... }
        >>> list(to_timm_names({'_conv_stem.weight': torch.zeros(32, 3, 3, 3), **part}))
        ['conv_stem.weight', 'blocks.0.0.conv_dw.weight', 'blocks.0.0.conv_pw.weight']
        >>> to_timm_names({'conv_stem.weight': torch.zeros(32, 3, 3, 3)})
    """
    if '_conv_stem.weight' not in state or '_blocks.0._project_conv.weight' not in state:
        return None
    places = _stages_of_blocks(state)
    return {_timm_name(name, state, places): tensor for name, tensor in state.items()}


def _stages_of_blocks(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Returns ``STAGE.BLOCK`` of each block, by its number in the file."""
    found = (re.match(r'_blocks\.(\d+)\._project_conv\.weight$', name) for name in state)
    places: dict[str, str] = {}
    stage, block = -1, 0
    for number in sorted(int(match[1]) for match in found if match):
        came, goes = _channels(state, number)
        stage, block = (stage, block + 1) if came == goes else (stage + 1, 0)
        places[str(number)] = f'{stage}.{block}'
    return places


def _channels(state: Mapping[str, Tensor], number: int) -> tuple[int, int]:
    start = f'_blocks.{number}.'
    expand = state.get(f'{start}_expand_conv.weight')
    depthwise = state.get(f'{start}_depthwise_conv.weight')
    goes = state[f'{start}_project_conv.weight'].shape[0]
    if expand is not None:
        return expand.shape[1], goes
    return (goes if depthwise is None else depthwise.shape[0]), goes


def _timm_name(name: str, state: Mapping[str, Tensor], places: Mapping[str, str]) -> str:
    match = re.fullmatch(r'_blocks\.(\d+)\.(\w+)\.(.+)', name)
    if match is None:
        module, _, rest = name.partition('.')
        return f'{dict(_AROUND).get(module, module)}.{rest}'
    number, module, rest = match.groups()
    expands = f'_blocks.{number}._expand_conv.weight' in state
    names = _EXPANDING if expands else _SEPARABLE
    if number not in places or module not in names:
        return name
    return f'blocks.{places[number]}.{names[module]}.{rest}'
