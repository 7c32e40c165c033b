"""The folder of downloaded files, its locks, and the variables that forbid the network."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mmengine.logging import print_log

OFFLINE = ('REIN_SEG_OFFLINE', 'HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE')
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def cache_folder() -> Path:
    """Returns the folder of this machine for files that can be made or downloaded again.

    ``REIN_SEG_CACHE``, else ``rein_seg`` in ``XDG_CACHE_HOME`` or ``~/.cache``.

    Example:
        >>> from rein_seg.download import cache_folder
        >>> cache_folder().is_absolute()
        True
    """
    own = os.environ.get('REIN_SEG_CACHE')
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache', 'rein_seg').absolute()


def offline() -> str | None:
    """Returns the variable that forbids the network, such as ``REIN_SEG_OFFLINE=1``, else None."""
    for name in OFFLINE:
        value = os.environ.get(name, '')
        if value.upper() in ('1', 'ON', 'YES', 'TRUE'):
            return f'{name}={value}'
    return None


def folder_for(url: str) -> Path:
    """Returns the folder of the cache for an address: its host and path, without the file's name.

    Example:
        >>> from rein_seg.download.cache import cache_folder, folder_for
        >>> folder = folder_for('https://example.org/vit/a.pth')
        >>> folder.relative_to(cache_folder()).as_posix()
        'weights/example.org/vit'
    """
    parts = urlsplit(url)
    names = [parts.netloc.rpartition('@')[2], *unquote(parts.path).split('/')[:-1]]
    names = [re.sub(r'[^\w.=+-]', '_', name) for name in names]
    names = [name for name in names if name.strip('.')]
    if parts.scheme != 'https':  # never in place of a file that came encrypted
        names[0] = f'{parts.scheme}_{names[0]}'
    if parts.query:  # another file of the same name
        names.append(hashlib.sha256(parts.query.encode()).hexdigest()[:12])
    return cache_folder().joinpath('weights', *names)


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Lets one process, or thread, of this machine at a time make ``target``."""
    lock = target.with_name(f'.{target.name}.lock')
    with lock.open('a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print_log(f'{target}: waits for another process that downloads it', logger='current')
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # two processes would then download into one file
            if error.errno not in _NO_LOCKS:
                raise
            print_log(f'{target.parent}: no locks; download with one process', logger='current')
        yield
        if target.exists():  # whoever waits for the lock finds the file, whoever comes needs none
            lock.unlink(missing_ok=True)
