"""Counts the values or colours of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rein_seg.datasets.files.listing import read_bytes
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.pictures import open_picture
from rein_seg.errors import UserError

IDS, COLOURS, MASKS = 'ids', 'colours', 'masks'
MOST_READ = 3000  # labels; of more, an even sample
IGNORED = 255
_STRAY = 2e-4  # share of the pixels below which one of many colours is a slip
_MANY = 48
_SOFT = 11  # values in between, and more: smoothing gives 15 or more, ids are rarely spread so
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
            return LabelContent(IDS, counts, dict.fromkeys(counts, 0) | colours, lossy, size)
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
        len(between) > _SOFT and max(counts) <= 255 and ends >= 0.9 * total
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
