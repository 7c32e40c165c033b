"""Counts the values or colours of labels, and proposes classes from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rein_seg.datasets.files.listing import read_bytes
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.pictures import open_picture
from rein_seg.errors import UserError
from rein_seg.palettes import distinct_colours

IDS, COLOURS, MASKS = 'ids', 'colours', 'masks'
MOST_READ = 3000  # labels; of more, an even sample
IGNORED = 255
_STRAY = 2e-4  # share of the pixels below which one of many colours is a slip
_MANY = 48
_WHITE = 0xFFFFFF
_GREY_SPREAD = 40  # of the channels of a grey picture stored as a colour JPEG
_STRETCHED = {'L;2': 85, 'L;4': 17}
_LOSSY = ('JPEG', 'MPO', 'JPEG2000')
Code = int  # a value, or r << 16 | g << 8 | b


@dataclass(frozen=True)
class LabelContent:
    """One label picture.

    Attributes:
        kind: ids, or colours.
        counts: Value or colour -> pixels.
        palette: Index -> colour of a palette picture.
        lossy: Whether it is compressed with loss.
        size: (height, width).
    """

    kind: str
    counts: dict[Code, int]
    palette: dict[int, Code] = field(default_factory=dict)
    lossy: bool = False
    size: tuple[int, int] = (0, 0)


@dataclass
class Contents:
    """All labels together.

    Attributes:
        kind: ids, colours, or masks (soft edges: a threshold).
        counts: Value or colour -> pixels.
        palette: Index -> colour, where palettes say it.
        read: Number of labels read.
    """

    kind: str
    counts: Counter[Code]
    palette: dict[int, Code]
    read: int


def read_content(path: str) -> LabelContent:
    """Returns the values or colours of a label.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no picture, or damaged.
    """
    with open_picture(read_bytes(path), path, what='label') as image:
        lossy = image.format in _LOSSY
        size = (image.height, image.width)
        if image.mode == 'P':
            array = np.array(image)
            flat = image.getpalette('RGB') or []
            colours = {i: _code(flat[3 * i : 3 * i + 3]) for i in range(len(flat) // 3)}
            counts = _counts(array)
            return LabelContent(IDS, counts, {i: colours.get(i, 0) for i in counts}, lossy, size)
        if image.mode in ('1', 'L', 'I', 'I;16', 'I;16B', 'F'):
            mode = getattr(image, 'tile', None) or [('', 0, 0, '')]
            args = mode[0][3]
            raw = args[0] if isinstance(args, tuple) and args else args
            array = np.array(image).astype(np.int64) // _STRETCHED.get(raw, 1)
            return LabelContent(IDS, _counts(array), {}, lossy, size)
        rgb = np.array(image.convert('RGB')).astype(np.int64)
    codes = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    return LabelContent(COLOURS, _counts(codes), {}, lossy, size)


def _counts(values: np.ndarray) -> dict[Code, int]:
    found, numbers = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _code(colour: Sequence[int]) -> Code:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def rgb_of(code: Code) -> list[int]:
    """Returns [R, G, B] of a colour's code.

    Example:
        >>> from rein_seg.own_data.contents import rgb_of
        >>> rgb_of(0xFF8000)
        [255, 128, 0]
    """
    return [code >> 16, code >> 8 & 255, code & 255]


def count_labels(paths: Sequence[str]) -> tuple[Contents, dict[str, str]]:
    """Returns the values or colours of labels, and the labels that cannot be read, with the reason.

    Raises:
        UserError: If none can be read, or they cannot be read as classes.
    """
    step = max(1, -(-len(paths) // MOST_READ))
    chosen = list(paths)[::step]

    def read(path: str) -> LabelContent | str:
        try:
            return read_content(path)
        except (UserError, OSError) as error:
            return ' '.join(str(error).split())

    results = in_parallel(read, chosen, title='reading labels' if len(chosen) > 200 else '')
    broken = {p: one for p, one in zip(chosen, results, strict=True) if isinstance(one, str)}
    good = [one for one in results if not isinstance(one, str)]
    if not good:
        raise UserError(f'none of the {len(chosen)} labels can be read; first: {results[0]}')
    return _together(good, chosen[0]), broken


def _together(labels: Sequence[LabelContent], first: str) -> Contents:
    counts: Counter[Code] = Counter()
    palette: dict[int, Code] = {}
    coloured = any(one.kind == COLOURS for one in labels)
    for one in labels:
        values = one.counts
        if coloured and one.kind == IDS:
            table = one.palette or {i: i << 16 | i << 8 | i for i in values}
            values = {}
            for i, pixels in one.counts.items():
                values[table[i]] = values.get(table[i], 0) + pixels
        counts.update(values)
        palette.update(one.palette)
    kind = COLOURS if coloured else IDS
    if coloured and all(code >> 16 == code & 255 == code >> 8 & 255 for code in counts):
        grey = Counter({code & 255: pixels for code, pixels in counts.items()})
        if _is_soft(grey):
            return Contents(MASKS, grey, {}, len(labels))
    if kind == IDS and not palette and _is_soft(counts):
        return Contents(MASKS, counts, {}, len(labels))
    if any(one.lossy for one in labels):
        grey = _luminance(counts) if coloured else counts
        if (not coloured or _is_greyish(counts)) and _is_soft(grey, lossy=True):
            return Contents(MASKS, grey, {}, len(labels))
        raise UserError(
            f'labels such as {first!r} are compressed with loss (JPEG), which changes their '
            f'{kind}: {len(counts)} were found; draw them again as PNG'
        )
    _check_strays(counts, kind, first)
    return Contents(kind, counts, palette, len(labels))


def _is_soft(counts: Counter[int], *, lossy: bool = False) -> bool:
    """Says whether values are a mask of 0 and 255 with soft edges."""
    total = sum(counts.values())
    ends = sum(n for value, n in counts.items() if value <= 40 or 215 <= value <= 255)
    if lossy:
        return ends >= 0.9 * total and any(value >= 215 for value in counts)
    between = [v for v in counts if 0 < v < 255]
    return (
        len(between) >= 3 and max(counts) <= 255 and ends >= 0.9 * total
        and sum(counts[v] for v in counts if v >= 215) > 0.25 * sum(
            n for v, n in counts.items() if v > 40
        ) and (len(counts) > _MANY or counts[0] + counts[255] >= 0.9 * total)
        and max(between) - min(between) > 100
    )  # fmt: skip


def _is_greyish(counts: Counter[Code]) -> bool:
    return all(max(rgb_of(code)) - min(rgb_of(code)) <= _GREY_SPREAD for code in counts)


def _luminance(counts: Counter[Code]) -> Counter[int]:
    grey: Counter[int] = Counter()
    for code, pixels in counts.items():
        grey[code >> 8 & 255] += pixels
    return grey


def _check_strays(counts: Counter[Code], kind: str, first: str) -> None:
    total = sum(counts.values())
    rare = [code for code, pixels in counts.items() if pixels < _STRAY * total]
    if len(counts) <= _MANY or (len(counts) <= 254 and len(rare) < 0.5 * len(counts)):
        return
    some = [rgb_of(c) if kind == COLOURS else c for c in sorted(rare, key=counts.get)[:3]]  # type: ignore[arg-type]
    raise UserError(
        f'labels such as {first!r} hold {len(counts)} {kind}, {len(rare)} of them in fewer than '
        f'{_STRAY:.2%} of the pixels, such as {some}: expected one for each class, 254 at most; '
        'they look blurred or photographed: draw them again as PNG without smoothing, or name the '
        'folder of the masks labels'
    )


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
        names = list(named.values()) if isinstance(named, dict) else named
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
        ignored = [code for code in codes if code not in named]
        if contents.kind == IDS and IGNORED not in (*named, *ignored):
            ignored.append(IGNORED)
        codes = list(named)
        names = list(named.values())
    else:
        codes = [code for code in codes if code not in ignored]
        names = _fitting(named, codes) if named else _names(codes, contents.kind, binary, greys)
        if named and contents.kind == IDS and max(codes, default=0) < len(names):
            codes = list(range(len(names)))  # a class may be absent from the labels
    if contents.kind == IDS and not isinstance(named, dict) and not ignored and not binary:
        ignored = [IGNORED] if IGNORED not in codes else []
    classes = [Proposed(c, n, counts[c] / total) for c, n in zip(codes, names, strict=True)]
    palette = distinct_colours(len(codes)) if greys else None
    if contents.palette and any(not _is_grey(code) for code in contents.palette.values()):
        shown = [rgb_of(contents.palette.get(code, 0)) for code in codes]
        palette = shown if len({tuple(one) for one in shown}) == len(shown) else None
    if len(classes) < 2:
        raise UserError(
            f'the labels hold one class, {classes[0].name if classes else "none"!r}, beside '
            f'ignored pixels {ignored}: expected two or more; if {ignored or 0} is a class, name '
            'it with --classes FILE, with lines such as "255 thing"'
        )
    return Proposal(contents.kind, classes, ignored, palette)


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
