"""Files on disk and members of zips, read and listed alike.

A member of a zip is written ``zip://FOLDER/NAME.zip/MEMBER``, a slice of a volume as `volumes`
says. Between reads only the zip's table
of contents is kept, never an open file: forked workers and threads would share its position.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import BaseStorageBackend, register_backend

from rein_seg.datasets.files import volumes
from rein_seg.datasets.files.walk import members, walk
from rein_seg.errors import UserError

MOST_BYTES = 2**31  # of a file, and of a member of a zip once it is inflated
PREFIX = 'zip://'
_IN_ZIP = re.compile(r'(.*?\.zip)(?:/(.*))?', re.IGNORECASE | re.DOTALL)
_LOCAL_HEADER = struct.Struct('<4s22xHH')
_ENCRYPTED = 1
_HEAD = 2**16  # bytes; enough for the headers of most pictures


def is_zip_place(place: str | Path) -> bool:
    """Tells whether a path names a zip, or a place inside."""
    return _IN_ZIP.fullmatch(str(place)) is not None and not Path(place).is_dir()


def list_files(place: str | Path, left_out: Counter[str] | None = None) -> dict[str, str]:
    """Lists all files below a place: name -> path that `read_bytes` takes.

    Hidden names and the folders of tools are left out; links to folders are followed. A folder is
    listed, too, if its name has a suffix: read as a picture, it is an error.

    Args:
        place: A folder; or zips, ``DIR/*_images.zip``, or a folder in them,
            ``DIR/*_images.zip/images``. If no such folder is given, a folder that holds all
            members of a zip is stripped from their names.
        left_out: Counts of names left out, by reason; added to.

    Raises:
        OSError: If a folder cannot be read.
        UserError: If zips have two files of one name, or a zip cannot be read.

    Example:
        >>> import zipfile
        >>> from rein_seg.datasets.files.listing import list_files, read_bytes
        >>> with zipfile.ZipFile('01_images.zip', 'w') as file:
        ...     file.writestr('images/a.txt', 'hello')
        >>> files = list_files('*_images.zip')
        >>> files
        {'a.txt': 'zip://01_images.zip/images/a.txt'}
        >>> read_bytes(files['a.txt'])
        b'hello'
    """
    if not is_zip_place(place):
        return walk(str(place), left_out)
    _, inner = _split(str(place))
    found: dict[str, str] = {}
    for archive in _archives(str(place)):
        names = list(members(list(_contents(archive)), left_out))
        folder = _common_folder(names) if inner is None else inner.rstrip('/') + '/'
        for member in names:
            if not member.startswith(folder):
                continue
            name, path = member[len(folder) :], f'{PREFIX}{archive}/{member}'
            if found.setdefault(name, path) != path:
                raise UserError(f'{str(place)!r} has {name!r} twice: {found[name]!r} and {path!r}')
    return found


def is_there(place: str | Path) -> bool:
    """Tells whether a folder, or a matching zip, exists."""
    return bool(_archives(str(place))) if is_zip_place(place) else Path(place).is_dir()


def read_bytes(path: str, *, most: int | None = None) -> bytes:
    """Reads a file, a member of a zip, or a slice of a volume.

    Args:
        path: As `list_files` returns it.
        most: Number of bytes to stop after.

    Raises:
        OSError: If a file cannot be read.
        UserError: If the zip or its member is missing or damaged; if it is no regular file, or
            longer than `MOST_BYTES`.
    """
    if path.startswith(PREFIX):
        archive, member = _split(path[len(PREFIX) :])
        return _read_member(archive, member or '', most)
    if path.startswith(volumes.PREFIX):
        return volumes.slice_bytes(path)[:most]
    with _open_regular(path) as file:
        _check_length(os.fstat(file.fileno()).st_size, repr(path))
        return file.read(-1 if most is None else most)


def _open_regular(path: str) -> BinaryIO:
    # without O_NONBLOCK, opening a FIFO waits for its other end
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UserError(
                f'{path!r} is a folder, a pipe or a device: expected a regular file; remove it, or '
                'leave it out with skip=[NAME, ...] in the data set'
            )
        return os.fdopen(handle, 'rb')
    except UserError:
        os.close(handle)
        raise


def _check_length(size: int, where: str) -> None:
    if size > MOST_BYTES:
        raise UserError(
            f'{where} has {size} bytes: expected at most {MOST_BYTES}; cut it into tiles, or leave '
            'it out with skip=[NAME, ...] in the data set'
        )


def read_heads(path: str) -> Iterator[bytes]:
    """Yields the first 64 KiB of a file, then the whole file if it is longer."""
    head = read_bytes(path, most=_HEAD)
    yield head
    if len(head) == _HEAD:
        yield read_bytes(path)


def file_on_disk(path: str) -> str:
    """Returns the zip of a member, the file of a slice; any other path unchanged."""
    if path.startswith(volumes.PREFIX):
        return volumes.split_path(path)[0]
    return _split(path[len(PREFIX) :])[0] if path.startswith(PREFIX) else path


@register_backend('zip', prefixes='zip')
class ZipBackend(BaseStorageBackend):
    """Lets everything that reads through mmengine read ``zip://DIR/NAME.zip/MEMBER``."""

    def get(self, filepath: str) -> bytes:
        """Returns a member's content."""
        return read_bytes(str(filepath))

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        """Returns a member's content as text."""
        return self.get(filepath).decode(encoding)


def _archives(place: str) -> list[str]:
    """Returns the zips that a place names; only its last part may be a pattern."""
    pattern = Path(_split(place)[0])
    if pattern.is_file():  # "[1]" in a name is no pattern
        return [str(pattern)]
    return sorted(glob.glob(str(Path(glob.escape(str(pattern.parent)), pattern.name))))


def _split(path: str) -> tuple[str, str | None]:
    match = _IN_ZIP.fullmatch(path)
    if match is None:
        raise UserError(f'{path!r} names no .zip: expected {PREFIX}DIR/NAME.zip/MEMBER')
    return match[1], match[2] or None


def _common_folder(names: list[str]) -> str:
    """Returns the folder that holds all members, such as ``a/b/``; '' if there is none."""
    if not names:
        return ''
    # in sorted order the first and the last member differ most
    low, high = min(names).split('/')[:-1], max(names).split('/')[:-1]
    common = []
    for one, other in zip(low, high, strict=False):
        if one != other:
            break
        common.append(one + '/')
    return ''.join(common)


# the cache is keyed by time and size of the file, so a zip that was replaced is read again
def _contents(archive: str) -> dict[str, zipfile.ZipInfo]:
    """Returns name -> entry of a zip's members; read again when the file has changed."""
    try:
        state = Path(archive).stat()
        return _read_contents(archive, state.st_mtime_ns, state.st_size)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  zipfile may raise anything for a damaged file
        raise UserError(f'zip {archive!r} cannot be read: {error}; download it again') from error


@lru_cache(maxsize=256)
def _read_contents(archive: str, changed: int, size: int) -> dict[str, zipfile.ZipInfo]:
    with _open_regular(archive) as opened, zipfile.ZipFile(opened) as file:
        return {entry.filename: entry for entry in file.infolist()}


def _read_member(archive: str, member: str, most: int | None) -> bytes:
    entry = _contents(archive).get(member)
    where = f'{member!r} of zip {archive!r}'
    if entry is None:
        raise UserError(f'there is no {where}')
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise UserError(f'{where} is encrypted, or neither stored nor deflated: unpack it')
    _check_length(entry.file_size, where)
    # a byte more than the table of contents says shows that it lies
    limit = entry.file_size + 1 if most is None else most
    try:
        with _open_regular(archive) as file:
            data = _inflate(file, entry, limit)
    except (OSError, struct.error, zlib.error) as error:
        raise UserError(f'{where} cannot be read: {error}; download the zip again') from error
    if most is None and (len(data) != entry.file_size or zlib.crc32(data) != entry.CRC):
        raise UserError(f'{where} is damaged (checksum): download the zip again')
    return data


def _inflate(file: BinaryIO, entry: zipfile.ZipInfo, most: int) -> bytes:
    file.seek(entry.header_offset)
    signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b'PK\3\4':
        raise zlib.error('no entry where the table of contents has one')
    file.seek(name + extra, 1)
    # deflate can grow data by a few bytes in 16 KiB only, so this is enough for ``most`` bytes
    size = min(entry.compress_size, most + most // 1024 + 1024)
    # Python allocates what it is asked for: no more than the zip holds, whatever it says
    data = file.read(min(size, os.fstat(file.fileno()).st_size))
    if entry.compress_type == zipfile.ZIP_STORED:
        return data[:most]
    # a limit of 0 would mean none
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, max(most, 1))
