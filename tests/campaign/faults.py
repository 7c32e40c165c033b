"""Faults of the operating system, in a mount namespace or a limit of the case's own process."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUSER, _PRIVATE, _READ_ONLY, _REMOUNT = 0x20000, 0x10000000, 1 << 18, 1, 32
NOBODY = 65534


def _call(done: int) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _own_mounts() -> None:
    """Gives this process mounts of its own, which vanish with it; without root in a user space."""
    user = os.getuid()
    _call(_LIBC.unshare(_NEWNS if user == 0 else _NEWNS | _NEWUSER))
    if user != 0:
        Path('/proc/self/uid_map').write_text(f'0 {user} 1')
    _call(_LIBC.mount(b'none', b'/', None, ctypes.c_ulong((1 << 14) | _PRIVATE), None))


def small_disk(folder: Path, size: str) -> Path:
    """Returns ``folder`` with a file system of ``size``, such as ``64k``, mounted on it."""
    folder.mkdir(exist_ok=True)
    _own_mounts()
    options = f'size={size}'.encode()
    _call(_LIBC.mount(b'tmpfs', str(folder).encode(), b'tmpfs', ctypes.c_ulong(0), options))
    return folder


def full_disk(folder: Path) -> Path:
    """Returns ``folder`` with a file system that has no space left."""
    small_disk(folder, '4k')
    (folder / 'filler').write_bytes(bytes(4096))
    return folder


def read_only(folder: Path) -> Path:
    """Returns ``folder``, made read-only by its mount, which root may not write to either."""
    small_disk(folder, '64k')
    flags = ctypes.c_ulong(_REMOUNT | _READ_ONLY)
    _call(_LIBC.mount(None, str(folder).encode(), None, flags, None))
    return folder


def become_nobody() -> None:
    """Takes root's rights away: permissions of files count from now on."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def limit_file_size(size: int) -> None:
    """Lets this process write no file beyond ``size`` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def limit_open_files(number: int) -> None:
    """Lets this process open no more than ``number`` files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
