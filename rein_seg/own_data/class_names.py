"""Reads the names of classes from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rein_seg.config.data_file.text import read_yaml
from rein_seg.errors import UserError

USUAL = (
    'classes.txt', 'class_names.txt', 'labels.txt', 'labelmap.txt', 'label_colors.txt',
    'class_dict.csv', 'classes.csv', 'classes.json',
)  # fmt: skip
_NUMBERS = re.compile(r'^\d+$')
_SEVERAL = re.compile(r'^\d+(\s+\d+)+$')
Names = dict[int, str] | list[str]


def find_names(folder: Path) -> Path | None:
    """Returns the file of class names that lies in a folder under a usual name."""
    return next((folder / name for name in USUAL if (folder / name).is_file()), None)


def read_names(path: str | Path) -> Names:
    r"""Returns the names of a file: a list in the order of ids, or id or colour -> name.

    Lines have a name, an id and a name, or a name and R G B, with commas, tabs or spaces; JSON and
    YAML have a list or a dict.

    Raises:
        UserError: If it is missing or has other lines.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.own_data.class_names import read_names
        >>> _ = Path('names.csv').write_text('name,r,g,b\nroad,128,64,128\nred light,250,170,30')
        >>> {hex(code): name for code, name in read_names('names.csv').items()}
        {'0x804080': 'road', '0xfaaa1e': 'red light'}
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f'--classes {str(path)!r} does not exist: give a file with a name a line')
    suffix = file.suffix.lower()
    if suffix in ('.yaml', '.yml'):
        content: Any = read_yaml(str(file))
        return _listed(content.get('classes', content.get('names', content)), file)
    try:
        text = file.read_text(encoding='utf-8-sig')
        if suffix == '.json':
            return _listed(json.loads(text), file)
    except (ValueError, RecursionError) as error:
        raise UserError(f'--classes {str(path)!r} cannot be read: {error}: correct it') from error
    return _lines(text, file)


def _listed(content: Any, file: Path) -> Names:
    if isinstance(content, dict) and all(isinstance(value, int) for value in content.values()):
        content = {value: key for key, value in content.items()}
    if isinstance(content, list) and content and all(isinstance(one, str) for one in content):
        return _once(content, file)
    if isinstance(content, dict) and content:
        try:
            found = {int(key): value for key, value in content.items()}
        except (TypeError, ValueError):
            found = {}
        if found and all(isinstance(value, str) for value in found.values()):
            _once(list(found.values()), file)
            return found
    raise UserError(
        f'--classes {str(file)!r}: expected a list of names, or a dict of ids and names; correct it'
    )


def _lines(text: str, file: Path) -> Names:
    rows = [_row(line) for line in text.splitlines() if line.strip() and line.strip()[0] != '#']
    if rows and not rows[0][1] and rows[0][0].lower() in ('name r g b', 'name,r,g,b', 'id name'):
        rows = rows[1:]
    rows = [row for row in rows if row[0]]
    kinds = {len(numbers) for _, numbers in rows}
    if not rows or len(kinds) > 1 or kinds - {0, 1, 3, 4}:
        raise UserError(
            f'--classes {str(file)!r}: expected lines of one form: "road", "7 road" or '
            f'"road 128 64 128"; there are {rows[:2]}; correct it'
        )
    names = _once([name for name, _ in rows], file)
    kind = kinds.pop()
    if kind == 0:
        return names
    if kind == 1:
        return _by_code([(numbers[0], name) for name, numbers in rows], file)
    colours = [(numbers[-3] << 16 | numbers[-2] << 8 | numbers[-1], name) for name, numbers in rows]
    return _by_code(colours, file)


def _row(line: str) -> tuple[str, list[int]]:
    """Returns the name and the numbers of a line."""
    cells = [one.strip() for one in re.split(r'[,;:\t]', line)]
    if len(cells) == 1:
        cells = line.split()
    parts = [one.split() if _SEVERAL.match(one) else [one] for one in cells if one]
    cells = [one for part in parts for one in part]
    numbers = [int(one) for one in cells if _NUMBERS.match(one) and len(one) < 9]
    words = [one for one in cells if not (_NUMBERS.match(one) and len(one) < 9)]
    if not words and numbers:  # names that are numbers
        return ' '.join(cells), []
    return ' '.join(words), numbers


def _once(names: list[str], file: Path) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'--classes {str(file)!r} has {twice[0]!r} twice: give each name once')
    return names


def _by_code(rows: list[tuple[int, str]], file: Path) -> dict[int, str]:
    found = dict(rows)
    if len(found) < len(rows):
        raise UserError(f'--classes {str(file)!r} has an id or a colour twice: give each once')
    return found
