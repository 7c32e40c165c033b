"""Checks of a zip archive of PyTorch's before anything in it is read.

Readers of zip files differ in what they take for the directory, and for two members of one name.
The checks leave one reading only, so that every reader sees what was checked.
"""

from __future__ import annotations

import os
import stat
import struct
import unicodedata
import zipfile
from typing import BinaryIO

from rein_seg.errors import UserError

_END = struct.Struct('<4s4H2LH')  # of the directory, at the end of the file
_LOCATOR = struct.Struct('<4sLQL')  # before it, of large files: points to the next
_END_64 = struct.Struct('<4sQ2H2L4Q')
_CODE = ('/code/', '.debug_pkl')  # of TorchScript, compressed; never read
_PICKLE = b'\x80'  # begins every pickle since protocol 2


def open_regular(path: str | os.PathLike, what: str) -> BinaryIO:
    """Opens a file for reading; a pipe or a device, which might never end, is refused.

    Args:
        path: The file.
        what: Its kind, for messages.

    Raises:
        UserError: If it does not exist, is no regular file, or has a name that no log can hold.

    Example:
        >>> from rein_seg.checkpoint.archive import open_regular
        >>> open_regular('/dev/null', 'checkpoint')
        Traceback (most recent call last):
        rein_seg.errors.UserError: checkpoint '/dev/null' is a device, expected a file; give the
        path of a file
    """
    name = str(path)
    if any(unicodedata.category(letter) in ('Cc', 'Cs') for letter in name):
        raise UserError(
            f'{what} {name!r}: its path is not UTF-8, or holds control characters; rename it'
        )
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f'{what} {name!r} does not exist; give the path of a file') from None
    except OSError as error:
        raise UserError(
            f'{what} {name!r} cannot be opened ({error.strerror}); give the path of a file'
        ) from error
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = 'a folder' if stat.S_ISDIR(mode) else 'a pipe' if stat.S_ISFIFO(mode) else 'a device'
        raise UserError(f'{what} {name!r} is {kind}, expected a file; give the path of a file')
    return os.fdopen(handle, 'rb')


def check_archive(file: BinaryIO, source: str) -> zipfile.ZipFile:
    """Checks an archive and returns it, opened.

    Args:
        file: Opened.
        source: Its path, for messages.

    Raises:
        UserError: If it is truncated or damaged, or is written otherwise than by PyTorch.
    """
    size = os.fstat(file.fileno()).st_size
    try:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            if file.read(1) == _PICKLE:
                raise UserError(
                    f'checkpoint {source!r} is not a file of torch.save but a plain pickle, as '
                    'detectron2 writes: reading it would run its code; where you trust it, convert '
                    'it to safetensors yourself'
                )
            raise UserError(
                f'checkpoint {source!r} is truncated, or not a file of torch.save '
                f'({size} bytes, no zip directory at its end); copy or download it again'
            )
        archive = zipfile.ZipFile(file)
        fault = _layout_fault(file, archive, size) or _names_fault(archive)
        damaged = None if fault else _damaged(archive)
    except (MemoryError, UserError):
        raise
    except Exception as error:  # a forged directory can raise anything
        raise UserError(
            f'checkpoint {source!r} is damaged ({error}); copy or download it again'
        ) from error
    if damaged is not None:
        raise UserError(
            f'checkpoint {source!r} is damaged: the checksum of its part {damaged!r} is wrong; '
            'copy or download it again'
        )
    if fault is not None:
        raise UserError(
            f'checkpoint {source!r} is refused: {fault}, which torch.save does not write; where '
            'you trust it, convert it to safetensors yourself'
        )
    return archive


def _layout_fault(file: BinaryIO, archive: zipfile.ZipFile, size: int) -> str | None:
    """Tells what a second reader could read as another directory."""
    tail = min(size, _END.size + _LOCATOR.size + _END_64.size)
    file.seek(size - tail)
    end = file.read(tail)
    mark, *_, length, offset, comment = _END.unpack(end[-_END.size :])
    if mark != b'PK\5\6' or comment or archive.comment:
        return 'it has data after its directory'
    position = size - _END.size
    locator = end[-_END.size - _LOCATOR.size : -_END.size]
    if locator[:4] == b'PK\6\7':
        position -= _LOCATOR.size + _END_64.size
        record = end[: _END_64.size]
        if record[:4] != b'PK\6\6' or _LOCATOR.unpack(locator)[2] != position:
            return 'it has two directories'
        length, offset = _END_64.unpack(record)[-2:]
    if offset + length != position or archive.start_dir != offset:
        return 'it has data before its directory'
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    if not entries or entries[0].header_offset != 0:
        return 'it has data before its first part'
    ends = [entry.header_offset + entry.compress_size for entry in entries]
    if any(end > later.header_offset for end, later in zip(ends, entries[1:], strict=False)):
        return 'its parts overlap'
    return None


def _names_fault(archive: zipfile.ZipFile) -> str | None:
    seen: dict[str, str] = {}
    for entry in archive.infolist():
        name = entry.filename
        folded = unicodedata.normalize('NFKC', name).casefold()
        if folded in seen:
            return f'its parts {seen[folded]!r} and {name!r} have the same name'
        seen[folded] = name
        parts = name.split('/')
        if name.startswith('/') or '..' in parts or '\\' in name or ':' in parts[0]:
            return f'its part {name!r} lies outside of it'
        if entry.orig_filename != name or entry.flag_bits & 1:
            return f'its part {name!r} is encrypted or has a cut name'
        stored = (
            entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
        )
        if not stored and not any(word in f'/{name}' for word in _CODE):
            return f'its part {name!r} is compressed'
    if len({name.partition('/')[0] for name in seen.values()}) > 1:
        return 'it has more than one folder'
    return None


def _damaged(archive: zipfile.ZipFile) -> str | None:
    """Returns the first part with a wrong checksum; compressed parts, never read, are left out."""
    for entry in archive.infolist():
        if entry.compress_type == zipfile.ZIP_STORED:
            try:
                with archive.open(entry) as part:
                    while part.read(1 << 20):
                        pass
            except zipfile.BadZipFile:
                return entry.filename
    return None
