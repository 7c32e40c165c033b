"""Reads parameters and buffers of a TorchScript archive without TorchScript.

``torch.jit.load`` compiles the code in an archive and calls its ``__setstate__``. Here nothing of
the archive runs: its pickle makes plain objects of this file, or is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from rein_seg.checkpoint.tensors import most_bytes
from rein_seg.errors import UserError

_MOST = 64 << 20  # bytes of data.pkl: structure only, tensors lie beside it
_DEEPEST, _MOST_MODULES = 200, 20_000  # one module can stand in several places
_STORAGES = {
    'DoubleStorage': torch.float64, 'FloatStorage': torch.float32, 'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32,
    'ShortStorage': torch.int16, 'CharStorage': torch.int8, 'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool,
}  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    """A storage that the pickle names."""

    dtype: torch.dtype
    key: str
    numel: int


@dataclass(frozen=True)
class _View:
    """A tensor that the pickle describes."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Object:
    """An object of a TorchScript class: its attributes, none of its methods."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise _Refused('loading it would run its __setstate__')
        self.attributes = {str(key): value for key, value in state.items()}


class _Refused(Exception):
    """The archive holds something else than modules and tensors."""


def _view(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
    numbers = (offset, *size, *stride)
    if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
        raise _Refused('a tensor in it has no storage, or negative sizes')
    if len(size) != len(stride):
        raise _Refused(f'a tensor in it has sizes {size} and strides {stride}')
    return _View(storage, offset, tuple(size), tuple(stride))


def _value(value: Any = None, *_: Any) -> Any:
    """Takes a list or a dict with TorchScript's note of its type."""
    return value


# names that the pickle may call: functions of this file stand for them
_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ('torch._utils', '_rebuild_tensor_v2'): _view,
    ('torch.jit._pickle', 'restore_type_tag'): _value,
    ('torch.jit._pickle', 'build_intlist'): _value,
    ('torch.jit._pickle', 'build_doublelist'): _value,
    ('torch.jit._pickle', 'build_boollist'): _value,
    ('torch.jit._pickle', 'build_tensorlist'): _value,
    ('collections', 'OrderedDict'): OrderedDict,
}


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]  # in Python: its memo is a dict
    """Makes objects of this file, whatever the pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        if module == '__torch__' or module.startswith('__torch__.'):
            return _Object
        if module == 'torch' and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _CALLS:
            return _CALLS[module, name]
        raise _Refused(f'loading it would run {module}.{name}')

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, numel = pid
        if kind != 'storage' or not isinstance(dtype, torch.dtype) or type(numel) is not int:
            raise _Refused(f'it names {pid!r}, expected a storage')
        return _Storage(dtype, str(key), numel)


def is_torchscript(archive: zipfile.ZipFile) -> bool:
    """Tells whether ``torch.jit.save`` wrote an archive."""
    return any(name.endswith('/constants.pkl') for name in archive.namelist())


def read_torchscript(archive: zipfile.ZipFile, source: str) -> dict[str, Tensor]:
    """Returns parameters and buffers of a module that ``torch.jit.save`` wrote, on the CPU.

    A tensor that is a plain attribute of a module cannot be told from a buffer and is read, too.

    Args:
        archive: From `check_archive`.
        source: Its path, for messages.

    Raises:
        UserError: If it is damaged, or holds anything else than modules and tensors.
    """
    try:
        root = _load(archive)
        if not isinstance(root, _Object):
            raise _Refused(f'it holds a {type(root).__name__}, expected a module')
        views = _views(root)
        _check_growth(archive, views)
        return {name: _tensor(archive, view) for name, view in views.items()}
    except _Refused as error:
        raise UserError(
            f'TorchScript archive {source!r} is refused: {error}; where you trust it, convert it '
            'to safetensors yourself'
        ) from None
    except Exception as error:  # a forged pickle can raise anything
        raise UserError(
            f'TorchScript archive {source!r} cannot be read: {error!r}; copy or download it again'
        ) from error


def _load(archive: zipfile.ZipFile) -> Any:
    root = archive.namelist()[0].partition('/')[0]
    entry = archive.getinfo(f'{root}/data.pkl')
    if entry.file_size > _MOST:
        raise _Refused(f'its data.pkl has {entry.file_size} bytes, expected at most {_MOST}')
    order = f'{root}/byteorder'
    if order in archive.namelist() and archive.read(order) != b'little':
        raise _Refused('its tensors are big-endian')
    return _Unpickler(io.BytesIO(archive.read(entry))).load()


def _views(root: _Object) -> dict[str, _View]:
    """Returns the tensors of all modules by name."""
    found, visits = {}, 0
    rest: list[tuple[str, _Object, int]] = [('', root, 0)]
    while rest:
        place, module, depth = rest.pop()
        visits += 1
        if depth > _DEEPEST or visits > _MOST_MODULES:
            raise _Refused(
                f'its modules are more than {_DEEPEST} deep, or more than {_MOST_MODULES}'
            )
        for name, value in getattr(module, 'attributes', {}).items():
            if isinstance(value, _View):
                found[place + name] = value
            elif isinstance(value, _Object):
                rest.append((f'{place}{name}.', value, depth + 1))
    return found


def _check_growth(archive: zipfile.ZipFile, views: dict[str, _View]) -> None:
    """Checks that many views of few values do not fill the memory."""
    total = sum(prod(view.size) * view.storage.dtype.itemsize for view in views.values())
    most = most_bytes(sum(entry.compress_size for entry in archive.infolist()))
    if total > most:
        raise _Refused(f'its tensors would take {total} bytes, expected at most {most}')


def _tensor(archive: zipfile.ZipFile, view: _View) -> Tensor:
    storage = view.storage
    root = archive.namelist()[0].partition('/')[0]
    data = archive.read(f'{root}/data/{storage.key}')
    last = view.offset + sum((n - 1) * step for n, step in zip(view.size, view.stride, strict=True))
    elements = prod(view.size)
    have = len(data) // storage.dtype.itemsize
    if elements and (last >= have or elements > have):
        raise _Refused(
            f'a tensor of shape {view.size} reaches beyond its {have} values, or repeats them'
        )
    if not elements:
        return torch.empty(view.size, dtype=storage.dtype)
    flat = torch.frombuffer(bytearray(data), dtype=storage.dtype)
    return flat.as_strided(view.size, view.stride, view.offset).clone()
