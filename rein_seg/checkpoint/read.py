"""Reads weights and checkpoints; no file can run code."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import threading
from collections.abc import Iterator, Mapping
from pathlib import PosixPath, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from rein_seg.checkpoint.archive import check_archive, open_regular
from rein_seg.checkpoint.safetensors_file import read_safetensors
from rein_seg.checkpoint.schema import check_checkpoint
from rein_seg.checkpoint.strict import tensors_sha256
from rein_seg.checkpoint.tensors import check_tensors, shown, tensors_below
from rein_seg.checkpoint.torchscript import is_torchscript, read_torchscript
from rein_seg.errors import UserError

# PyTorch keeps allowed types for the whole process: one thread would take them from another
_ALLOWING = threading.Lock()
os.register_at_fork(
    before=_ALLOWING.acquire, after_in_parent=_ALLOWING.release, after_in_child=_ALLOWING.release
)
# of these, the first that a file has; its averaged weights if it has no others
_WRAPPERS = ('state_dict', 'model', 'module', 'teacher', 'model_ema', 'state_dict_ema')
_LEGACY_START = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)


def read_checkpoint(path: str | os.PathLike, *, map_location: Any = 'cpu') -> dict[str, Any]:
    """Reads a ``torch.save`` file without running code from it.

    Accepts tensors, plain Python values, NumPy arrays, and the log histories, arguments and paths
    that training scripts save; anything else is refused. Files from before torch 1.6 (ResNet's)
    have no checksums and are read, too.

    Args:
        path: The file.
        map_location: Device of the tensors, as in ``torch.load``.

    Returns:
        The saved dict. Of a TorchScript archive (OpenAI's CLIP): its state dict.

    Raises:
        UserError: If the file is missing, truncated, damaged, or holds code that would run.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import read_checkpoint, save_checkpoint
        >>> save_checkpoint('iter_2.pth', dict(state_dict=dict(scale=torch.ones(2)), iter=2))
        >>> read_checkpoint('iter_2.pth')
        {'state_dict': {'scale': tensor([1., 1.])}, 'iter': 2}
    """
    source, place = str(path), f'checkpoint {str(path)!r}'
    with open_regular(path, 'checkpoint') as file:
        content = _read(file, source, map_location)
        if not isinstance(content, dict):
            raise UserError(
                f'{place} holds a {type(content).__name__}, expected a dict with tensors by name; '
                'give a file of weights or a checkpoint'
            )
        size = os.fstat(file.fileno()).st_size
        check_tensors(tensors_below(content, place), place, size=size)
    check_checkpoint(content, place)
    return content


def _read(file: BinaryIO, source: str, map_location: Any) -> Any:
    """Returns the content of an opened file."""
    legacy = file.read(len(_LEGACY_START)) == _LEGACY_START
    if not legacy:
        archive = check_archive(file, source)
        if is_torchscript(archive):
            state = read_torchscript(archive, source)
            return {name: tensor.to(map_location) for name, tensor in state.items()}
    file.seek(0)  # of the file that was checked: a second open could find another
    try:
        with _allow_harmless_types():
            content = torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        # a file from before 1.6 has no directory: a name cut in two looks like an unsafe type
        why = 'or it is truncated' if legacy else _unsafe_globals(file)
        raise UserError(
            f'checkpoint {source!r} is refused: loading it would run pickled code '
            f'({why}); where you trust it, convert it to safetensors yourself'
        ) from None
    except Exception as error:  # a forged pickle can raise anything
        raise UserError(
            f'checkpoint {source!r} cannot be read ({shown(repr(error), 200)}); copy or download '
            'it again'
        ) from error
    rest = os.fstat(file.fileno()).st_size - file.tell()
    if legacy and rest:
        raise UserError(
            f'checkpoint {source!r} is refused: it has {rest} bytes after its end, which '
            'torch.save does not write; copy or download it again'
        )
    return content


def read_state_dict(path: str | os.PathLike) -> dict[str, Tensor]:
    """Reads tensors by name from ``.safetensors`` or from a ``torch.save`` file.

    The usual wrappers (``state_dict``, ``model``, ``module``, ``teacher``, ``model_ema``,
    ``state_dict_ema``) are taken off.

    Raises:
        UserError: If the file cannot be read, or holds no tensors by name.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import read_state_dict
        >>> torch.save(dict(model=dict(weight=torch.zeros(2, 3)), epoch=7), 'weights.pth')
        >>> {name: tuple(tensor.shape) for name, tensor in read_state_dict('weights.pth').items()}
        {'weight': (2, 3)}
    """
    if not str(path).endswith('.safetensors'):
        return state_dict_of(read_checkpoint(path), str(path))
    tensors, metadata = read_safetensors(path, 'weights file')
    # files of this package carry a digest of their tensors
    ours = metadata.get('format', '').startswith('"rein_seg-')
    if ours and json.dumps(tensors_sha256(tensors)) != metadata.get('sha256'):
        raise UserError(
            f'weights file {str(path)!r} was changed after it was written: the SHA-256 of its '
            'tensors differs from its metadata; get it again from its source'
        )
    if not tensors:
        raise UserError(f'weights file {str(path)!r} holds no tensors: expected tensors by name')
    return tensors


def state_dict_of(content: Any, source: str) -> dict[str, Tensor]:
    """Returns the tensors by name of a checkpoint that was read, without the usual wrappers.

    Args:
        content: The content of the file.
        source: Path of the file, for messages.

    Raises:
        UserError: If it holds no tensors by name.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import state_dict_of
        >>> state_dict_of(dict(state_dict=dict(scale=torch.ones(1)), iter=2), 'iter_2.pth')
        {'scale': tensor([1.])}
    """
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not any(isinstance(v, Tensor) for v in content.values()):
        raise UserError(
            f'weights file {source!r} holds no tensors by name: expected a state dict, '
            'or one under the key "state_dict", "model", "module", "teacher" or "model_ema"'
        )
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    odd = next((name for name in tensors if not isinstance(name, str)), None)
    if odd is not None:
        raise UserError(
            f'weights file {source!r}: the name of a tensor is {shown(repr(odd))}, expected a '
            'text; get the file again'
        )
    return tensors


class _History(HistoryBuffer):
    """mmengine's log history that takes its numbers from a file, but not its methods."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(list(state['_log_history']), list(state['_count_history']))

    def __reduce__(self) -> tuple[Any, ...]:
        # written again, it is mmengine's own
        return HistoryBuffer, (list(self._log_history), list(self._count_history))


def _harmless_types() -> list[Any]:
    """Returns types that checkpoints hold beside tensors: arrays, log histories, arguments."""
    core = np._core.multiarray
    codes = ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', '?')
    dtypes = [type(np.dtype(code)) for code in codes]
    arrays = [
        (function, f'numpy.{package}.multiarray.{function.__name__}')
        for function in (core._reconstruct, core.scalar)
        for package in ('core', '_core')  # of numpy 1 and 2
    ]
    history = (_History, 'mmengine.logging.history_buffer.HistoryBuffer')
    stub = (_no_attribute, 'builtins.getattr')
    arguments = [argparse.Namespace, PosixPath, PurePosixPath]
    return [history, stub, np.ndarray, np.dtype, *arrays, *dtypes, *arguments]


def _no_attribute(*args: Any) -> None:
    """Replaces ``getattr``, which mmengine's log histories name and an attacker could use."""


@contextlib.contextmanager
def _allow_harmless_types() -> Iterator[None]:
    with _ALLOWING, torch.serialization.safe_globals(_harmless_types()):
        yield


def _unsafe_globals(file: BinaryIO) -> str:
    """Returns the names that the file would import, beyond the allowed types."""
    file.seek(0)
    with _allow_harmless_types():
        named = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    return ', '.join(sorted(named)) or 'an operation that torch does not allow'
