"""Class names as a text tower reads them.

K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rein_seg.errors import UserError, near_misses

Names = Mapping[str, str | Sequence[str]]


def spoken(name: str) -> str:
    """Returns a name as towers read it: lower case, blanks in place of underscores.

    Example:
        >>> from rein_seg.text.names import spoken
        >>> spoken(' Traffic_Light ')
        'traffic light'
    """
    return ' '.join(name.replace('_', ' ').lower().split())


def check_classes(classes: Any, unseen: Iterable[str] = (), names: Names | None = None) -> None:
    """Checks the names of classes, before any is turned into an embedding.

    Args:
        classes: K names.
        unseen: Names of the classes that training never labels.
        names: Class -> words that stand for it in prompts.

    Raises:
        UserError: If a name is empty or no text, two names read alike, an unseen class or a class
            with words is no class, or words are empty.

    Example:
        >>> from rein_seg.text.names import check_classes
        >>> check_classes(['road', 'tram'], unseen=['tram'], names={'road': ['street', 'lane']})
        >>> check_classes(['road', 'Road'])
        Traceback (most recent call last):
        rein_seg.errors.UserError: classes name 'road' and 'Road', which a text tower reads alike:
        expected different names; remove one, or rename it
    """
    if isinstance(classes, str) or not isinstance(classes, Sequence) or not classes:
        raise UserError(f'classes={classes!r}: expected a list of names, such as [road, sky]')
    read: dict[str, str] = {}
    for name in classes:
        if not _is_text(name):
            raise UserError(f'classes name {name!r}: expected words such as road; correct it')
        if spoken(name) in read:
            raise UserError(
                f'classes name {read[spoken(name)]!r} and {name!r}, which a text tower reads '
                'alike: expected different names; remove one, or rename it'
            )
        read[spoken(name)] = name
    unseen = list(unseen)
    for key, found in (('unseen', unseen), ('names', names or {})):
        for name in found:
            if name not in classes:
                raise UserError(
                    f'text.{key} names {name!r}, which is no class; {near_misses(name, classes)}'
                )
    for name, words in (names or {}).items():
        each = [words] if isinstance(words, str) else words
        listed = isinstance(each, Sequence) and len(each) > 0
        if not listed or not all(map(_is_text, each)):
            raise UserError(
                f'text.names gives {words!r} for {name!r}: expected words, such as '
                "{'road': ['road', 'street']}; leave the class out to take its own name"
            )


def _is_text(name: Any) -> bool:
    """Says whether a name is a text, and no bytes that were read in a wrong encoding."""
    if not isinstance(name, str) or not spoken(name):
        return False
    return name.encode('utf-8', 'replace').decode() == name
