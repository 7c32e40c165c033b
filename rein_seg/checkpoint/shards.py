"""Reads weights from a file, from several files with an index, or from the folder that holds them.

Hugging Face transformers saves a model as a folder, a large model in shards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from rein_seg.checkpoint.archive import open_regular
from rein_seg.checkpoint.read import read_state_dict
from rein_seg.checkpoint.safetensors_file import parse_json
from rein_seg.checkpoint.tensors import shown
from rein_seg.errors import UserError

INDEX = '.index.json'
# files of weights in a folder of transformers, or in a repository of the hub, best first
NAMES = (
    'model.safetensors',
    f'model.safetensors{INDEX}',
    'pytorch_model.bin',
    f'pytorch_model.bin{INDEX}',
)
_MOST = 16 << 20  # bytes of an index


def read_weights(path: str | os.PathLike) -> dict[str, Tensor]:
    """Reads tensors by name from a file, an index of shards, or a folder with either.

    Raises:
        UserError: If there is no such file, it cannot be read, or shards do not fit their index.

    Example:
        >>> from pathlib import Path
        >>> import torch
        >>> from rein_seg.checkpoint import read_weights, save_tensors
        >>> save_tensors('vit/model.safetensors', dict(weight=torch.ones(2)), {})
        >>> read_weights('vit')
        {'weight': tensor([1., 1.])}
    """
    file = Path(path)
    if file.is_dir():
        file = next((file / name for name in NAMES if (file / name).is_file()), file)
    if file.is_dir():
        raise UserError(
            f'weights {str(path)!r} is a folder without {", ".join(NAMES)}; give the path of a '
            'file of weights'
        )
    return _read_shards(file) if file.name.endswith(INDEX) else read_state_dict(file)


def shards_of(index: str | os.PathLike) -> list[str]:
    """Returns the names of the files that an index lists, which lie beside it.

    Raises:
        UserError: If it is no index.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.checkpoint.shards import shards_of
        >>> _ = Path('a.index.json').write_text('{"weight_map": {"w": "a-1.safetensors"}}')
        >>> shards_of('a.index.json')
        ['a-1.safetensors']
    """
    return sorted(set(_weight_map(index).values()))


def _weight_map(index: str | os.PathLike) -> Mapping[str, str]:
    """Returns tensor -> name of its file."""
    with open_regular(index, 'index of weights') as file:
        text = file.read(_MOST + 1)
    try:
        content = parse_json(text) if len(text) <= _MOST else None
    except ValueError:
        content = None
    found = content.get('weight_map') if isinstance(content, dict) else None
    fits = isinstance(found, dict) and bool(found)
    if not fits or not all(isinstance(v, str) and _is_shard(v) for v in found.values()):
        raise UserError(
            f'index of weights {str(index)!r}: expected a weight_map of tensors to .safetensors or '
            '.bin files beside it; get it again'
        )
    return found


def _is_shard(name: str) -> bool:
    return re.fullmatch(r'\w[\w.-]{0,200}\.(safetensors|bin)', name) is not None


def _read_shards(index: Path) -> dict[str, Tensor]:
    listed, tensors = _weight_map(index), dict[str, Tensor]()
    for name in shards_of(index):
        part = read_state_dict(index.with_name(name))
        foreign = [key for key in part if listed.get(key) != name]
        if foreign:
            raise UserError(
                f'weights file {str(index.with_name(name))!r} holds {shown(foreign[0])!r}, which '
                f'{index.name} lists elsewhere or not at all; get both again'
            )
        tensors |= part
    missing = listed.keys() - tensors.keys()
    if missing:
        raise UserError(
            f'index of weights {str(index)!r} lists {shown(min(missing))!r}, which no file beside '
            'it holds; get them again'
        )
    return tensors
