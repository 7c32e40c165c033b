"""Finds the inputs of a prediction: files, folders, patterns, lists."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rein_seg.datasets.files.listing import file_on_disk, is_zip_place, list_files
from rein_seg.datasets.files.walk import describe, left_out_as
from rein_seg.errors import UserError, near_misses

RASTERS = ('.tif', '.tiff', '.jp2')
IMAGES = (
    *('.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.mpo', '.webp', '.bmp', '.gif'),
    *('.ppm', '.pgm', '.pbm', '.pnm', '.j2k', *RASTERS),
)
VIDEOS = (
    *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv'),
    *('.ogv', '.3gp', '.m2ts', '.mts'),
)
LIST, STANDARD_INPUT = '.txt', '-'


@dataclass(frozen=True)
class Source:
    """An input.

    Attributes:
        path: Of the file, or of a member of a zip as `read_bytes` takes it.
        name: Path of the file below ``folder``, with ``/``.
        folder: The folder that was given, without ``.`` and ``..``.
    """

    path: str
    name: str
    folder: str

    @property
    def suffix(self) -> str:
        """Suffix of the file in small letters, such as ``.png``."""
        return os.path.splitext(self.name)[1].lower()

    @property
    def is_video(self) -> bool:
        """Whether the suffix is a video's."""
        return self.suffix in VIDEOS

    @property
    def stamp(self) -> tuple[int, int]:
        """Size in bytes and time of change in ns, which tell whether the file was replaced.

        Raises:
            OSError: If the file is not there.
        """
        state = os.stat(file_on_disk(self.path))
        return state.st_size, state.st_mtime_ns


def find_sources(
    words: Sequence[str],
    *,
    is_own: Callable[[str, str], bool] = lambda path, folder: False,
    left_out: Counter[str] | None = None,
) -> list[Source]:
    """Returns the inputs that words of a command name, in their order.

    Files of a folder or pattern are sorted with numbers as numbers. A file that several words name
    is there once.

    Args:
        words: Image or video files; folders and zips, searched with all that is below; patterns
            such as ``'day/*.png'``; lists (``.txt``) with a path a line, relative to the list;
            ``-`` reads a list from standard input.
        is_own: Tells of (path, given folder) whether the file is an earlier output, to leave out.
        left_out: Counts files of folders and patterns that are left out, by reason; added to.

    Raises:
        OSError: If a folder or list cannot be read.
        UserError: If a word names nothing, or no image and no video.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.inference.sources import find_sources
        >>> Path('trip/day 2').mkdir(parents=True)
        >>> for name in ('10.jpg', '9.jpg', 'day 2/a.png', 'notes.md', '.hidden.png'):
        ...     Path('trip', name).touch()
        >>> [source.name for source in find_sources(['trip'])]
        ['9.jpg', '10.jpg', 'day 2/a.png']
    """
    found: dict[str, Source] = {}
    counts: Counter[str] = Counter() if left_out is None else left_out
    for word in words:
        before = counts.copy()
        files = []
        for source in _of_word(word, counts):
            if is_own(source.path, source.folder):
                counts['of earlier predictions'] += 1
            else:
                files.append(source)
        if not files:
            raise UserError(
                f'no image found in {word!r}: expected files that end in {" ".join(IMAGES)}, or '
                f'videos that end in {" ".join(VIDEOS)} ({describe(counts - before)}); name a '
                'folder, a file, a pattern in quotes or a list (.txt)'
            )
        for source in files:
            found.setdefault(os.path.abspath(source.path), source)
    return list(found.values())


def is_many(source: Any) -> bool:
    """Says whether a source names files to be found: a folder, a zip, a pattern.

    Args:
        source: A path, or another source of an image.

    Example:
        >>> from rein_seg.inference.sources import is_many
        >>> is_many('day/*.png'), is_many('day.png')
        (True, False)
    """
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = os.fspath(source)
    return (
        os.path.isdir(path)
        or is_zip_place(path)
        or (glob.has_magic(path) and not os.path.lexists(path))
    )


def natural_key(name: str) -> tuple:
    """Returns a key that sorts folders together and numbers in names as numbers.

    Example:
        >>> from rein_seg.inference.sources import natural_key
        >>> sorted(['a/10.png', 'a/9.png', 'a.png'], key=natural_key)
        ['a.png', 'a/9.png', 'a/10.png']
    """
    *folders, file = [
        tuple((0, int(part), '') if part.isdecimal() else (1, 0, part) for part in parts if part)
        for parts in (re.split(r'(\d+)', piece) for piece in name.split('/'))
    ]
    return tuple((1, folder) for folder in folders) + ((0, file),), name


def _of_word(word: str, left_out: Counter[str]) -> Iterator[Source]:
    there = os.path.lexists(word)
    if word == STANDARD_INPUT:
        return _of_list(sys.stdin.read(), '.', 'standard input', left_out)
    if os.path.isdir(word) or is_zip_place(word):
        return _of_folder(word, os.path.abspath(word), left_out)
    if there and word.lower().endswith(LIST):
        return _of_list(_text(word), os.path.dirname(word) or '.', word, left_out)
    if there:
        return iter([_file(word)])
    if glob.has_magic(word):
        return _of_pattern(word, left_out)
    raise UserError(f'source {word!r} does not exist; {_close_to(word)}')


def _file(path: str) -> Source:
    folder, name = os.path.split(os.path.abspath(path))
    return Source(path, name, folder)


def _of_folder(folder: str, root: str, left_out: Counter[str]) -> Iterator[Source]:
    """Yields the images and videos below a folder; their names begin below ``root``."""
    below = os.path.relpath(os.path.abspath(folder), root)
    start = '' if below == '.' else f'{below}/'
    for name, path in _sorted(list_files(folder, left_out)):
        if not _is_left_out(name, path, left_out):
            yield Source(path, start + name, root)


def _sorted(files: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(files.items(), key=lambda pair: natural_key(pair[0]))


def _is_left_out(name: str, path: str, left_out: Counter[str]) -> bool:
    if os.path.isdir(path):  # its files are listed, too
        return True
    if name.lower().endswith((*IMAGES, *VIDEOS)):
        return False
    left_out[os.path.splitext(name)[1].lower() or 'without suffix'] += 1
    return True


def _of_pattern(word: str, left_out: Counter[str]) -> Iterator[Source]:
    parts = Path(word).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = os.path.abspath(os.path.join(*parts[:fixed]) if fixed else '.')
    found: list[Source] = []
    for path in glob.glob(word, recursive=True):
        name = os.path.relpath(os.path.abspath(path), root)
        if any(left_out_as(part) for part in name.split('/') if part != '.'):
            continue
        if os.path.isdir(path):
            found += _of_folder(path, root, left_out)
        elif not _is_left_out(name, path, left_out):
            found.append(Source(path, name, root))
    return iter(sorted(found, key=lambda source: natural_key(source.name)))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'list {path!r} is no UTF-8 text ({error.reason} at byte {error.start}): expected a '
            'path a line; save it as UTF-8'
        ) from error


def _of_list(text: str, base: str, what: str, left_out: Counter[str]) -> Iterator[Source]:
    """Yields the files and folders that a list names; a missing file is left to its reader."""
    lines = [line for line in (line.strip('\r') for line in text.split('\n')) if line.strip()]
    bad = next((line for line in lines if '\0' in line), None)
    if bad is not None:
        raise UserError(f'list {what!r} holds a NUL byte: expected text with a path a line')
    paths = [os.path.join(base, line) for line in lines]
    root = _common_root(paths, os.path.abspath(base))
    for path in paths:
        if os.path.isdir(path):
            yield from _of_folder(path, root, left_out)
        else:
            yield Source(path, os.path.relpath(os.path.abspath(path), root), root)


def _common_root(paths: Iterable[str], base: str) -> str:
    """Returns the folder that names of a list begin in: the list's own if all lie below."""
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
    if all(os.path.commonpath([base, folder]) == base for folder in folders):
        return base
    return os.path.commonpath(folders)


def _close_to(word: str) -> str:
    folder = os.path.dirname(word) or '.'
    if not os.path.isdir(folder):
        return f'there is no folder {folder!r}, either; give a path that exists'
    otherwise = 'give a path that exists, or a pattern in quotes'
    return near_misses(os.path.basename(word), os.listdir(folder), otherwise=otherwise)
