"""Writes files whole or not at all: a killed process never leaves half a file, nor a power cut."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from rein_seg.checkpoint.tensors import refuse_to_save
from rein_seg.errors import UserError

# of errors that PyTorch and safetensors raise if a write fails; neither is an OSError
_WRITE_FAILED = ('inline_container.cc', 'I/O error')


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary name beside ``path``; renames it to ``path`` if the block succeeds.

    A killed process leaves at most a stray temporary file, never half of ``path``; see
    `remove_temporary`. The content is on the disk before the file has its name.

    Raises:
        OSError: If the file cannot be written; it names ``path`` or the folder above.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.checkpoint import atomic_path
        >>> with atomic_path('runs/scores.txt') as temporary:
        ...     _ = temporary.write_text('mIoU 35.26')
        >>> Path('runs/scores.txt').read_text()
        'mIoU 35.26'
        >>> [path.name for path in Path('runs').iterdir()]
        ['scores.txt']
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        yield from _special(target)
        return
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # a file system takes 255 bytes a name, so of a long name the temporary has a part
        part = os.fsencode(target.name)[:200].decode('utf-8', 'ignore')
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f'.{part}.', suffix='.tmp')
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would hide results from the group
            _sync(temporary)
            os.replace(temporary, target)
            _sync(target.parent)  # the name, too
        finally:
            temporary.unlink(missing_ok=True)


def _special(target: Path) -> Iterator[Path]:
    """As `atomic_path` for a device or a pipe, which a rename would replace by a file."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / target.name
        yield temporary
        with naming(target), target.open('wb') as file:
            file.write(temporary.read_bytes())


def _sync(path: Path) -> None:
    """Has the disk hold a file, or the names in a folder."""
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        # some network file systems cannot, for folders; a folder may be closed for reading
        if error.errno not in (errno.EINVAL, errno.EACCES):
            raise


def remove_temporary(folder: str | os.PathLike) -> list[str]:
    """Removes the temporary files that killed processes left in a folder; returns their names.

    Only for a folder where no other process writes.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.checkpoint import remove_temporary
        >>> Path('.iter_2.pth.x7_k2qd1.tmp').touch()
        >>> remove_temporary('.')
        ['.iter_2.pth.x7_k2qd1.tmp']
    """
    stray = sorted(Path(folder).glob('.*.????????.tmp'))  # mkstemp's names have 8 characters
    for path in stray:
        path.unlink(missing_ok=True)
    return [path.name for path in stray]


@contextlib.contextmanager
def naming(target: str | os.PathLike) -> Iterator[None]:
    """Turns errors of writing into an OSError that names a file or folder, not a temporary name.

    Example:
        >>> from rein_seg.checkpoint.write import naming
        >>> with naming('work_dirs/demo'):
        ...     raise OSError(28, 'No space left on device')
        Traceback (most recent call last):
        OSError: [Errno 28] No space left on device: 'work_dirs/demo'
    """
    try:
        yield
    except OSError as error:
        own = error.filename is not None and not str(error.filename).endswith('.tmp')
        name = str(error.filename if own else target)
        raise OSError(error.errno, error.strerror or str(error), name) from error
    except (RuntimeError, SafetensorError) as error:
        if not any(words in str(error) for words in _WRITE_FAILED):
            raise
        reason = 'cannot be written; is the disk full?'
        raise OSError(errno.EIO, reason, str(target)) from error


def write_png(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes an (H, W) or (H, W, 3) BGR uint8 picture, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode('.png', np.ascontiguousarray(picture))[1].tobytes())


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 text file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def write_new(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 text file that must not exist yet, atomically.

    Raises:
        UserError: If it exists.
    """
    if os.path.lexists(path):
        raise UserError(
            f'{str(path)!r} exists and is never overwritten: remove it, or name another'
        )
    write_text(path, text)


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes ``content`` as indented JSON, atomically.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.checkpoint import write_json
        >>> write_json('scores.json', {'mIoU': 35.26})
        >>> print(Path('scores.json').read_text().strip())
        {
          "mIoU": 35.26
        }
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n')


def save_checkpoint(path: str | os.PathLike, checkpoint: Mapping[str, Any]) -> None:
    """Writes a training checkpoint with ``torch.save``, atomically.

    Raises:
        NotFinite: If a tensor in it holds NaN or infinite values. Those of ``replay`` may: a run
            that diverged keeps its batch.
    """
    refuse_to_save({key: part for key, part in checkpoint.items() if key != 'replay'}, path)
    with atomic_path(path) as temporary:
        torch.save(dict(checkpoint), temporary)


def save_tensors(
    path: str | os.PathLike, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Writes tensors by name, atomically, with JSON-able metadata.

    Args:
        path: ``.safetensors`` holds the metadata in its header, each value as JSON; ``.pth`` is a
            plain state dict that any loader takes, with the metadata in ``<path>.json``.
        tensors: On any device.
        metadata: Values that JSON can hold.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint import read_state_dict, save_tensors
        >>> save_tensors('merged.pth', dict(weight=torch.ones(2)), dict(layout='official'))
        >>> read_state_dict('merged.pth')
        {'weight': tensor([1., 1.])}
    """
    plain, seen = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()  # a view would be written with its whole storage
        seen.add(storage.data_ptr())
        plain[name] = tensor
    path = Path(path)
    if path.suffix == '.safetensors':
        with atomic_path(path) as temporary:
            save_file(plain, temporary, metadata={k: json.dumps(v) for k, v in metadata.items()})
        return
    save_checkpoint(path, plain)
    write_json(path.with_name(path.name + '.json'), dict(metadata))
