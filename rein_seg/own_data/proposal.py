"""Proposes the classes of counted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rein_seg.errors import UserError
from rein_seg.own_data.contents import COLOURS, IDS, IGNORED, MASKS, Code, Contents, rgb_of
from rein_seg.palettes import distinct_colours

_WHITE = 0xFFFFFF
_GREY = 0x010101


@dataclass(frozen=True)
class Proposed:
    """A class that labels show.

    Attributes:
        code: Id or colour.
        name: Of the class.
        share: Of the pixels.
    """

    code: Code
    name: str
    share: float


@dataclass
class Proposal:
    """Classes, ignored codes and palette of labels.

    Attributes:
        kind: ids, colours or masks.
        classes: In the order of their indexes.
        ignored: Codes without a class.
        palette: [R, G, B] of each class, None leaves it to the rule.
    """

    kind: str
    classes: list[Proposed]
    ignored: list[Code]
    palette: list[list[int]] | None = None

    def as_keys(self) -> dict[str, Any]:
        """Returns its keys of a data file."""
        names = [one.name for one in self.classes]
        if self.kind == MASKS:
            return {'classes': names, 'threshold': 128}
        if self.kind == COLOURS:
            colours = {one.name: rgb_of(one.code) for one in self.classes}
            ignored = [rgb_of(code) for code in self.ignored]
            keys: dict[str, Any] = {'classes': names, 'label_colours': colours}
            if self.palette:
                keys['palette'] = dict(zip(names, self.palette, strict=True))
            return {**keys, 'ignore': ignored} if ignored else keys
        keys = {'classes': {one.code: one.name for one in self.classes}, 'ignore': self.ignored}
        return (
            {**keys, 'palette': dict(zip(names, self.palette, strict=True))}
            if self.palette
            else keys
        )


def propose(contents: Contents, named: dict[Code, str] | list[str] | None) -> Proposal:
    """Returns the classes of labels.

    Args:
        contents: The counted labels.
        named: Id or colour -> name, or names in the order of the codes; None proposes names.

    Raises:
        UserError: If the names do not fit the labels.
    """
    counts, total = contents.counts, max(1, sum(contents.counts.values()))
    if contents.kind == MASKS:
        high = sum(n for value, n in counts.items() if value >= 128)
        names = [named[code] for code in sorted(named)] if isinstance(named, dict) else named
        names = _fitting(names or ['background', 'foreground'], [0, 255])
        shares = (1 - high / total, high / total)
        classes = [Proposed(c, n, s) for c, n, s in zip((0, 255), names, shares, strict=True)]
        return Proposal(MASKS, classes, [])
    codes = sorted(counts)
    binary = codes in ([0, IGNORED], [0, _WHITE])
    greys = contents.kind == COLOURS and all(map(_is_grey, codes)) and not binary
    void = _WHITE if greys else IGNORED
    ignored = [void] if (greys or contents.kind == IDS) and void in counts and not binary else []
    if isinstance(named, dict):
        named = _of_the_kind(named, contents, [code for code in codes if code not in ignored])
        ignored = [code for code in codes if code not in named]
        if contents.kind == IDS and IGNORED not in (*named, *ignored):
            ignored.append(IGNORED)
        codes = list(named)
        names = list(named.values())
    else:
        codes = [code for code in codes if code not in ignored]
        if named and contents.kind == COLOURS and not (greys or binary):
            raise UserError(
                f'{len(named)} names without colours, for labels of {len(codes)} colours: expected '
                'the colour of each name, since colours have no order; give lines "name r g b", '
                'such as "road 128 64 128", in --classes FILE'
            )
        step = _GREY if greys else 1
        numbers = [code // step for code in codes]
        names = _fitting(named, numbers) if named else _names(codes, contents.kind, binary, greys)
        if named and not binary and max(numbers, default=0) < len(names):
            codes = [i * step for i in range(len(names))]  # a class may be absent from the labels
    if contents.kind == IDS and not isinstance(named, dict) and not ignored and not binary:
        ignored = [IGNORED] if IGNORED not in codes else []
    classes = [Proposed(c, n, counts[c] / total) for c, n in zip(codes, names, strict=True)]
    palette = distinct_colours(len(codes)) if greys else None
    colours = [contents.palette.get(code, 0) for code in codes]
    if not all(map(_is_grey, colours)):
        shown = [rgb_of(code) for code in colours]
        palette = shown if len({tuple(one) for one in shown}) == len(shown) else None
    if len(classes) < 2:
        raise UserError(
            f'the labels hold one class, {classes[0].name if classes else "none"!r}, beside '
            f'ignored pixels {ignored}: expected two or more; if {ignored or 0} is a class, name '
            'it with --classes FILE, with lines such as "255 thing"'
        )
    return Proposal(contents.kind, classes, ignored, palette)


def _of_the_kind(
    named: Mapping[Code, str], contents: Contents, codes: Sequence[Code]
) -> dict[Code, str]:
    """Returns names by the codes that labels have, of names by colours for ids or the reverse."""
    ways = [dict(named)]
    if contents.kind == COLOURS:
        ways.append({code * _GREY: name for code, name in named.items() if code <= IGNORED})
    else:
        colours = contents.palette or {i: i * _GREY for i in range(IGNORED + 1)}
        # a colour may stand twice in a palette: an id in the labels goes before, then the lowest
        order = sorted(colours, key=lambda i: (i in contents.counts, -i))
        id_of = {colours[i]: i for i in order}
        for step in (1, _GREY):
            shown_as = {code * step: name for code, name in named.items()}
            ways.append({id_of[code]: name for code, name in shown_as.items() if code in id_of})
    best = max(ways, key=lambda way: sum(code in way for code in codes))
    if sum(code in best for code in codes) >= min(2, len(codes)):
        return best
    shown = [rgb_of(code) if contents.kind == COLOURS else code for code in codes[:6]]
    given = [rgb_of(code) if code > IGNORED else code for code in list(named)[:6]]
    raise UserError(
        f'names of classes are given for {given}, and labels have {shown}: expected names for what '
        f'labels have; give lines such as "7 road" for ids, "road 128 64 128" for colours, in '
        '--classes FILE'
    )


def _is_grey(code: Code) -> bool:
    return code >> 16 == code & 255 == code >> 8 & 255


def _names(codes: Sequence[Code], kind: str, binary: bool, greys: bool) -> list[str]:
    if binary:
        return ['background', 'foreground']
    if greys:
        return [f'class_{code & 255}' for code in codes]
    if kind == COLOURS:
        return [f'colour_{code:06x}' for code in codes]
    return [f'class_{code}' for code in codes]


def _fitting(names: list[str], codes: Sequence[Code]) -> list[str]:
    if len(names) == len(codes) or (codes and max(codes) < len(names)):
        return names
    shown = ', '.join(map(str, codes[:12]))
    raise UserError(
        f'{len(names)} names of classes for labels with {len(codes)} values ({shown}'
        f'{", ..." if len(codes) > 12 else ""}): expected a name for each; give lines such as '
        '"7 road" in --classes FILE for ids, "road 128 64 128" for colours'
    )
