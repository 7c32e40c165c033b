"""Reads a YAML file that holds data alone: no key twice, no names for parts, no Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rein_seg.errors import UserError

MOST_BYTES = 4 * 2**20


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, which YAML lets win silently, and aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(
                None, None, f'*{event.anchor} names a part: write it out', event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        met: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float, bool, type(None))):
                raise yaml.constructor.ConstructorError(
                    None, None, 'a key is a list or a dict: write a name', key_node.start_mark
                )
            if key in met:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {key!r} stands here twice', key_node.start_mark
                )
            met.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: str) -> dict[str, Any]:
    """Returns the content of a data file.

    Raises:
        UserError: If it is missing, no YAML of names with values, or has a key twice.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.config.data_file.text import read_yaml
        >>> _ = Path('data.yaml').write_text('name: town')
        >>> read_yaml('data.yaml')
        {'name': 'town'}
    """
    text = _text(path)
    try:
        content = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f', line {mark.line + 1}' if mark else ''
        problem = ' '.join(str(error.problem or error.context).split())
        raise UserError(f'data file {path!r}{line}: {problem}: correct the YAML') from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        raise UserError(f'data file {path!r} is no YAML: {reason}: correct it') from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(
            f'data file {path!r} holds no names with values: expected lines such as '
            "'name: town'; rein-seg init-data DIR writes such a file"
        )
    return content


def _text(path: str) -> str:
    file = Path(path).expanduser()
    if not file.exists():
        near = sorted(str(one) for one in file.parent.glob('*.y*ml'))[:3]
        hint = f'; there is {", ".join(map(repr, near))}' if near else ''
        raise UserError(
            f'data file {path!r} does not exist{hint}: give the path of a data file, which '
            'rein-seg init-data DIR writes'
        )
    if not file.is_file():
        raise UserError(
            f'data file {path!r} is no plain file: give a file, such as {str(file / "data.yaml")!r}'
        )
    with file.open('rb') as opened:
        data = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UserError(
            f'data file {path!r} is larger than {MOST_BYTES // 2**20} MiB: expected classes and '
            'folders; put names of images into files, and name these by list'
        )
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'data file {path!r} is not UTF-8: byte {error.start} is '
            f'{error.object[error.start]:#04x}; save it as UTF-8'
        ) from error
