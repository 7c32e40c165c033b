"""Classes that a user asks for: words in a command, a file, a list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rein_seg.errors import UserError
from rein_seg.models.open_vocabulary import check_choice
from rein_seg.text.names import Names

_MOST_BYTES = 2**20
_SUFFIXES = ('.txt', '.csv', '.list')


@dataclass(frozen=True)
class ClassList:
    """Names, and the words that stand for some of them.

    Attributes:
        classes: K names.
        words: Class -> words that a text tower reads in place of the name.
    """

    classes: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each class, as a file has them."""
        return tuple(
            f'{name} = {", ".join(self.words[name])}' if name in self.words else name
            for name in self.classes
        )


Choice = str | os.PathLike | Sequence[str] | Names | ClassList


def read_class_list(source: Choice) -> ClassList:
    """Returns the classes in a list, a dict, a text or a file.

    Args:
        source: A list of names; a dict of names and words; or a text: names between commas, the
            path of a file with a name a line, or names between semicolons. A line or part may be
            ``name = word, word``: the words are read in place of the name.

    Raises:
        UserError: If the file cannot be read, or the names are wrong.

    Example:
        >>> from rein_seg.inference.class_list import read_class_list
        >>> read_class_list('road, cyclist, tram').classes
        ('road', 'cyclist', 'tram')
        >>> read_class_list('road; terrain = grass, soil').lines
        ('road', 'terrain = grass, soil')
    """
    if isinstance(source, ClassList):
        return source
    if isinstance(source, Mapping):
        words = {k: tuple(v) if isinstance(v, (list, tuple)) else (v,) for k, v in source.items()}
        found = ClassList(tuple(source), words)
    elif isinstance(source, (str, os.PathLike)):
        found = _read(os.fspath(source))
    elif not isinstance(source, Iterable):
        raise UserError(
            f'classes={source!r}: expected names; give a list, a dict, or a text such as '
            "'road, tram'"
        )
    else:
        found = ClassList(tuple(source), {})
    check_choice(found.classes, found.words)
    return found


def _read(text: str) -> ClassList:
    if os.path.isfile(text):
        parts, place = _file_lines(text), f'file {text!r}'
        if not parts:
            raise UserError(f'classes: {place} has no names: expected a name a line; add them')
    elif text.strip().lower().endswith(_SUFFIXES) and ',' not in text:
        raise UserError(
            f'classes: file {text!r} does not exist: expected a file with a name a line, or names '
            "such as 'road, tram'; give its path"
        )
    else:
        parts, place = text.split(';' if ';' in text else ','), 'text'
        if '=' in text and ';' not in text and len(parts) > 1:
            raise UserError(
                f'classes: {text!r} has words behind = and commas: expected semicolons between the '
                "classes, as in 'road; ground = sidewalk, terrain'; put them in"
            )
        # a comma at the end is no slip worth an error
        parts = parts[:-1] if len(parts) > 1 and not parts[-1].strip() else parts
    classes: list[str] = []
    words: dict[str, tuple[str, ...]] = {}
    for part in parts:
        name, said, listed = (one.strip() for one in part.partition('='))
        if not said and ',' in name:
            raise UserError(
                f'classes: {name!r} in the {place} has a comma: expected a name, or name = word, '
                'word; put names on lines of their own'
            )
        classes.append(name)
        if said:
            words[name] = tuple(one.strip() for one in listed.split(','))
    return ClassList(tuple(classes), words)


def _file_lines(path: str) -> list[str]:
    """Returns the lines of a file that are neither empty nor comments."""
    with Path(path).open('rb') as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise UserError(
            f'classes: file {path!r} is larger than {_MOST_BYTES // 2**20} MiB: expected a name a '
            'line; give a list of names'
        )
    try:
        lines = content.decode('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f'classes: file {path!r} is not UTF-8 (byte {error.start}): expected a name a line; '
            'save it as UTF-8'
        ) from error
    return [line for line in lines if line.strip() and not line.lstrip().startswith('#')]
