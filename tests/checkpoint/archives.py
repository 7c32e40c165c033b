"""Archives of PyTorch's, written again with changes."""

import struct
import zipfile
from pathlib import Path


def rewrite(path: Path, change, compression: int = zipfile.ZIP_STORED) -> Path:
    """Writes an archive again with ``change(name, content) -> [(name, content), ...]``."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, content in parts:
            for new, data in change(name, content):
                archive.writestr(new, data)
    return path


def shadow_directory(path: Path, other: Path) -> Path:
    """Puts the bytes of ``other`` before the archive: two directories in one file."""
    path.write_bytes(other.read_bytes() + path.read_bytes())
    return path


def false_offset(path: Path, by: int) -> Path:
    """Changes the offset of the directory in the end record: readers repair it differently."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b'PK\5\6') + 16
    (offset,) = struct.unpack_from('<L', data, at)
    struct.pack_into('<L', data, at, offset + by)
    path.write_bytes(data)
    return path
