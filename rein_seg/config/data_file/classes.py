"""The label space of a data file: names, ids or colours in the labels, palette, ignored pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rein_seg.datasets.label_space import MOST_RAW_ID, check_label_space
from rein_seg.datasets.unseen import class_indexes
from rein_seg.errors import UserError, near_misses
from rein_seg.palettes import distinct_colours

IGNORED = 255
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSpace:
    """The classes of a data file.

    Attributes:
        names: Of the classes, in the order of their indexes.
        palette: RGB of each class, for pictures.
        label_map: Raw id -> class index or 255; None if labels hold class indexes.
        label_colours: RGB of each raw id, None if labels hold ids.
        unseen: Names of the classes that training never labels.
        words: Name -> words that a model with text reads in its place.
    """

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    label_map: Mapping[int, int] | None = None
    label_colours: tuple[Colour, ...] | None = None
    unseen: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def metainfo(self) -> dict[str, Any]:
        """Classes and palette of a data set."""
        return {'classes': self.names, 'palette': [list(colour) for colour in self.palette]}


def read_classes(content: Mapping[str, Any], file: str) -> LabelSpace:
    """Returns the label space of a data file.

    Args:
        content: Of the file.
        file: Its name, for messages.

    Raises:
        UserError: For the first wrong value.

    Example:
        >>> from rein_seg.config.data_file.classes import read_classes
        >>> space = read_classes({'classes': {7: 'road', 11: 'house'}, 'ignore': 0}, 'data.yaml')
        >>> space.names, space.label_map
        (('road', 'house'), {7: 0, 11: 1, 0: 255})
    """
    reader = _Reader(file)
    names, ids = reader.classes(content.get('classes'))
    if len(names) < 2:
        raise reader.refuse('classes', list(names), 'two or more; name the background, too')
    colours = reader.colours('label_colours', content, names)
    palette = reader.colours('palette', content, names) or colours
    palette = palette or [tuple(colour) for colour in distinct_colours(len(names))]
    check_label_space({'classes': names, 'palette': palette}, IGNORED, file)
    unseen, words = reader.unseen(content, names), reader.words(content, names)
    if colours is not None:
        ignored = reader.ignored_colours(content)
        every = (*colours, *ignored)
        index = {i: i for i in range(len(names))}
        index |= {len(names) + i: IGNORED for i in range(len(ignored))}
        return LabelSpace(names, tuple(palette), index, every, unseen, words)
    ignored_ids = reader.ignored_ids(content, ids, names)
    plain = 'ignore' not in content and ids == {i: i for i in range(len(names))}
    label_map = None if plain else {**ids, **dict.fromkeys(ignored_ids, IGNORED)}
    return LabelSpace(names, tuple(palette), label_map, None, unseen, words)


@dataclass(frozen=True)
class _Reader:
    file: str

    def refuse(self, key: str, value: Any, expected: str) -> UserError:
        said = repr(value)
        short = said if len(said) <= 80 else f'{said[:80]}...'
        return UserError(f'{key}={short}: expected {expected}; correct it in {self.file}')

    def classes(self, said: Any) -> tuple[tuple[str, ...], dict[int, int]]:
        """Returns the names, and raw id -> class index."""
        if said is None:
            raise UserError(
                f'{self.file} has no classes: give their names, such as classes: [road, sky]'
            )
        if isinstance(said, list) and all(isinstance(one, Mapping) for one in said) and said:
            said = {self._entry(i, one): one.get('name') for i, one in enumerate(said)}
        merged = isinstance(said, Mapping)  # several ids of one class are no slip
        if isinstance(said, list):
            said = dict(enumerate(said))
        if not isinstance(said, Mapping) or not said:
            raise self.refuse(
                'classes', said, 'a list of names, or a dict of id and name such as {0: road}'
            )
        if all(isinstance(key, str) and _is_id(value) for key, value in said.items()):
            if len(set(said.values())) < len(said):
                raise self.refuse('classes', said, 'an id of its own for each name')
            said = {value: key for key, value in said.items()}
        names: list[str] = []
        ids: dict[int, int] = {}
        for key, name in said.items():
            index = self._id('classes', key)
            if not isinstance(name, str) or not name.strip() or '\n' in name:
                raise self.refuse(f'classes.{key}', name, 'a name; quote words such as "no"')
            if index in ids:
                raise self.refuse('classes', key, 'each id once')
            if name not in names:
                names.append(name)
            elif not merged:
                raise self.refuse(f'classes.{key}', name, 'each name once')
            ids[index] = names.index(name)
        return tuple(names), ids

    def _entry(self, place: int, entry: Mapping[str, Any]) -> Any:
        for key in entry:
            if key not in ('name', 'id'):
                raise UserError(
                    f'classes.{place} has a key {key!r}; {near_misses(str(key), ("name", "id"))}; '
                    f'colours are in palette and label_colours; correct it in {self.file}'
                )
        return entry.get('id', place)

    def _id(self, key: str, value: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
            value = int(value)
        if not _is_id(value):
            raise self.refuse(key, value, f'ids of 0 to {MOST_RAW_ID}')
        return value

    def colours(
        self, key: str, content: Mapping[str, Any], names: tuple[str, ...]
    ) -> list[Colour] | None:
        """Returns a colour for each class, None if the file gives none."""
        said = content.get(key)
        if said is None:
            return None
        if isinstance(said, Mapping):
            self._known(key, said, names)
            missing = [name for name in names if name not in said]
            if missing:
                raise self.refuse(key, said, f'a colour for each class, also for {missing[0]!r}')
            said = [said[name] for name in names]
        if not isinstance(said, list) or len(said) != len(names):
            raise self.refuse(key, said, f'{len(names)} colours [R, G, B], one for each class')
        found = [self._colour(key, one) for one in said]
        if key == 'label_colours' and len(set(found)) < len(found):
            raise self.refuse(key, said, 'another colour for each class')
        return found

    def unseen(self, content: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the classes that training never labels."""
        said = tuple(content.get('unseen', ()))
        if said:
            class_indexes(said, names, f'{self.file}: unseen')
        return said

    def words(
        self, content: Mapping[str, Any], names: tuple[str, ...]
    ) -> dict[str, tuple[str, ...]]:
        """Returns the words that stand for classes."""
        said = content.get('names', {})
        self._known('names', said, names)
        return {k: (v,) if isinstance(v, str) else tuple(v) for k, v in said.items()}

    def _known(self, key: str, said: Iterable[str], names: tuple[str, ...]) -> None:
        for name in said:
            if name not in names:
                raise UserError(
                    f'{key} names a class {name!r}; {near_misses(str(name), names)}; correct it in '
                    f'{self.file}'
                )

    def _colour(self, key: str, said: Any) -> Colour:
        if isinstance(said, str) and len(said) == 7 and said[0] == '#':
            try:
                said = [int(said[i : i + 2], 16) for i in (1, 3, 5)]
            except ValueError:
                raise self.refuse(key, said, 'a colour [R, G, B] of 0 to 255') from None
        good = isinstance(said, list) and len(said) == 3
        if not good or not all(type(v) is int and 0 <= v <= 255 for v in said):
            raise self.refuse(key, said, 'a colour [R, G, B] of 0 to 255')
        return (said[0], said[1], said[2])

    def ignored_colours(self, content: Mapping[str, Any]) -> list[Colour]:
        said = content.get('ignore', [])
        said = [said] if isinstance(said, str) else said
        if isinstance(said, list) and said and all(type(v) is int for v in said):
            said = [said]
        if not isinstance(said, list):
            raise self.refuse('ignore', said, 'a list of colours [R, G, B], as in label_colours')
        return list(dict.fromkeys(self._colour('ignore', one) for one in said))

    def ignored_ids(
        self, content: Mapping[str, Any], ids: Mapping[int, int], names: tuple[str, ...]
    ) -> list[int]:
        said = content.get('ignore', [] if IGNORED in ids else [IGNORED])
        said = said if isinstance(said, list) else [] if said is None else [said]
        found = [self._id('ignore', one) for one in said]
        for one in found:
            if one in ids:
                raise self.refuse('ignore', one, f'an id without a class; it is {names[ids[one]]}')
        return found


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_RAW_ID
