"""Walks folders of data: follows links, leaves out what tools put there, and counts that.

The same rules hold for folders and for members of zips.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rein_seg.errors import UserError

# of macOS, Synology, QNAP and Windows; names with a dot are hidden anyway
TOOL_FOLDERS = frozenset(
    ('__MACOSX', '@eaDir', '@Recycle', '#recycle', '$RECYCLE.BIN', 'lost+found')
)
MOST_WAYS = 64  # to one folder, over links


def left_out_as(name: str) -> str | None:
    """Returns why a file or folder of this name is left out, None if it is not.

    Example:
        >>> from rein_seg.datasets.files.walk import left_out_as
        >>> left_out_as('.ipynb_checkpoints'), left_out_as('@eaDir'), left_out_as('a.png')
        ('hidden', 'of tools (@eaDir)', None)
    """
    if name.startswith('.'):
        return 'hidden'
    return f'of tools ({name})' if name in TOOL_FOLDERS else None


def walk(folder: str, left_out: Counter[str] | None = None) -> dict[str, str]:
    """Lists the files below a folder, and the folders with a suffix as files have: name -> path.

    Links are followed, except to a folder that contains them.

    Args:
        folder: Searched recursively.
        left_out: Counts by reason; added to.

    Raises:
        OSError: If a folder cannot be read.
        UserError: If more than `MOST_WAYS` links lead to one folder.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets.files.walk import walk
        >>> for name in ('tree/day/a.png', 'tree/.git/config'):
        ...     Path(name).parent.mkdir(parents=True)
        ...     Path(name).touch()
        >>> Path('tree/night').symlink_to('day')
        >>> sorted(walk('tree'))
        ['day/a.png', 'night/a.png']
    """
    counts: Counter[str] = Counter() if left_out is None else left_out
    found: dict[str, str] = {}
    ways: Counter[str] = Counter()
    # a stack, not recursion: folders may be nested deeper than Python's calls
    todo: list[tuple[str, tuple[str, ...]]] = [('', (os.path.realpath(folder),))]
    while todo:
        below, chain = todo.pop()
        for entry in _entries(os.path.join(folder, below)):
            reason = left_out_as(entry.name)
            if reason is not None:
                counts[reason] += 1
                continue
            name = f'{below}{entry.name}'
            is_folder = _is_folder(entry)
            if not is_folder or '.' in entry.name:
                found[name] = str(Path(folder, name))
            if not is_folder:
                continue
            if len(chain) == 1 and not entry.is_symlink():  # not below a link
                todo.append((f'{name}/', chain))
                continue
            inside = os.path.realpath(entry.path)
            if inside in chain:
                counts['links to a folder above'] += 1
                continue
            todo.append((f'{name}/', (*chain, inside)))
            ways[inside] += entry.is_symlink()
            _check_ways(ways[inside], inside)
    return found


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: the reader says so
        return False


def _check_ways(number: int, folder: str) -> None:
    if number > MOST_WAYS:
        raise UserError(
            f'more than {MOST_WAYS} links lead to the folder {folder!r}: expected a folder of '
            'images or labels, whose links do not multiply; remove some'
        )


def _entries(folder: str) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def members(names: Sequence[str], left_out: Counter[str] | None = None) -> Iterator[str]:
    """Yields the members of a zip that are files of data."""
    counts: Counter[str] = Counter() if left_out is None else left_out
    for name in names:
        if name.endswith('/'):
            continue
        reason = next((r for part in name.split('/') if (r := left_out_as(part))), None)
        if reason is None:
            yield name
        else:
            counts[reason] += 1


def check_name(path: str) -> None:
    """Checks that logs, reports and pictures can show a path.

    Raises:
        UserError: If it is not UTF-8 or holds control characters.

    Example:
        >>> from rein_seg.datasets.files.walk import check_name
        >>> check_name('images/größe 1.png')
    """
    bad = sorted({c for c in path if unicodedata.category(c) in ('Cc', 'Cs')})
    if bad:
        what = 'control characters' if bad[0] < ' ' or '\x7f' <= bad[0] < '\xa0' else 'no UTF-8'
        raise UserError(
            f'the file name {ascii(path)} holds {what} ({ascii("".join(bad))}): expected a name '
            'of printable characters in UTF-8; rename it'
        )


def describe(left_out: Counter[str]) -> str:
    """Returns counts as text.

    Example:
        >>> from collections import Counter
        >>> from rein_seg.datasets.files.walk import describe
        >>> describe(Counter({'hidden': 2, '.txt': 1})), describe(Counter())
        ('left out: 2 hidden, 1 .txt', 'left out: nothing')
    """
    some = [f'{number} {reason}' for reason, number in left_out.most_common(8)]
    rest = len(left_out) - len(some)
    return f'left out: {", ".join(some) or "nothing"}' + (f', {rest} more kinds' if rest else '')
