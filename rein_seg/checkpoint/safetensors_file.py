"""Reads ``.safetensors`` files, after checks of their header.

The header is JSON. Parsers differ in what they make of two entries of one name, and NaN is no
number of JSON; the checks leave one reading only.
"""

from __future__ import annotations

import json
import os
from math import prod
from typing import Any, BinaryIO

from safetensors import safe_open
from torch import Tensor

from rein_seg.checkpoint.archive import open_regular
from rein_seg.checkpoint.tensors import check_tensors, shown
from rein_seg.errors import UserError

_MOST = 16 << 20  # bytes of the header; the largest published has half a MiB
_BYTES = {
    'BOOL': 1, 'U8': 1, 'I8': 1, 'I16': 2, 'I32': 4, 'I64': 8, 'F16': 2, 'BF16': 2, 'F32': 4,
    'F64': 8,
}  # fmt: skip


class _Damaged(Exception):
    """A fault of the header, in words."""


def read_safetensors(
    path: str | os.PathLike, what: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns tensors and metadata of a file.

    Args:
        path: The file.
        what: Its kind, for messages.

    Raises:
        UserError: If it is missing, truncated or damaged.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import save_tensors
        >>> from rein_seg.checkpoint.safetensors_file import read_safetensors
        >>> save_tensors('a.safetensors', dict(weight=torch.ones(2)), dict(layout='official'))
        >>> read_safetensors('a.safetensors', 'file')
        ({'weight': tensor([1., 1.])}, {'layout': '"official"'})
    """
    place = f'{what} {str(path)!r}'
    with open_regular(path, what) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            metadata = _check_header(file, size)
            with safe_open(path, framework='pt') as opened:
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (MemoryError, OSError):
            raise
        except Exception as error:  # of several libraries
            raise UserError(
                f'{place} is truncated or damaged ({shown(error, 200)}); copy or download it again'
            ) from error
    check_tensors(tensors, place, size=size)
    return tensors, metadata


def parse_json(text: str | bytes) -> Any:
    """Parses JSON in which every name of an object is there once, and every number is one.

    Raises:
        ValueError: If it is no such JSON, or nested too deep.

    Example:
        >>> from rein_seg.checkpoint.safetensors_file import parse_json
        >>> parse_json('{"a": [1, 2]}')
        {'a': [1, 2]}
        >>> parse_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: the name 'a' is there twice
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ValueError('its JSON is nested too deep') from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f'the name {shown(name)!r} is there twice')
        found[name] = value
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f'{word} is no number of JSON')


def _check_header(file: BinaryIO, size: int) -> dict[str, str]:
    """Checks the header; returns its metadata."""
    length = int.from_bytes(file.read(8), 'little')
    if size < 8 or length > min(_MOST, size - 8):
        raise _Damaged(
            f'the file has {size} bytes, its header would have {length}, expected at most {_MOST}: '
            'it is cut off, or no safetensors file'
        )
    header = parse_json(file.read(length))
    if not isinstance(header, dict):
        raise _Damaged(f'its header is a {type(header).__name__}, expected an object')
    metadata = header.pop('__metadata__', {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Damaged('its metadata are no texts by name')
    ranges = sorted(_range(name, entry) for name, entry in header.items())
    end = 0
    for begin, stop, name in ranges:
        if begin != end:
            raise _Damaged(f'the values of {shown(name)!r} overlap others, or leave a gap')
        end = stop
    if end != size - 8 - length:
        raise _Damaged(f'its tensors have {end} bytes, the file {size - 8 - length} for them')
    return metadata


def _range(name: str, entry: Any) -> tuple[int, int, str]:
    """Returns begin and end of a tensor's values."""
    try:
        dtype, shape, (begin, end) = entry['dtype'], entry['shape'], entry['data_offsets']
        whole = len(shape) <= 64 and all(
            type(n) is int and 0 <= n < 2**53 for n in (*shape, begin, end)
        )
    except (TypeError, KeyError, ValueError):
        whole = False
    if not whole:
        raise _Damaged(f'the entry of {shown(name)!r} has no dtype, shape and data_offsets')
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise _Damaged(f'{shown(name)!r} has dtype {dtype!r}, expected one of {", ".join(_BYTES)}')
    if end - begin != prod(shape) * _BYTES[dtype]:
        raise _Damaged(f'{shown(name)!r} of shape {tuple(shape)} has {end - begin} bytes')
    return begin, end, name
