"""Which label belongs to which image: by the names in two folders, or by a csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rein_seg.errors import UserError

Pair = tuple[Path, Path]
_HEADERS = (('image', 'label'), ('image', 'mask'))


def pair_folders(
    images_dir: Path,
    labels_dir: Path,
    *,
    img_suffixes: Sequence[str],
    seg_suffixes: Sequence[str],
    split_file: str = '',
    hint: str = '',
    extra_labels: bool = True,
) -> list[Pair]:
    """Returns (image, label) of each image below a folder, sorted by name.

    A label has the image's place and name, with a label's suffix in the place of the image's. In
    one folder for both, what ends as a label does is no image. Case does not count in suffixes;
    names that start with a dot are left out.

    Args:
        images_dir: Searched recursively.
        labels_dir: Likewise.
        img_suffixes: Ends of images' names.
        seg_suffixes: Ends of labels' names.
        split_file: File of names, with or without suffix, one a line: only these.
        hint: Where to get the data, for messages.
        extra_labels: Whether labels without an image are left alone; never with a split file.

    Raises:
        UserError: If there is no image, one has no label, two files have one name, a listed image
            is missing, or (unless allowed) a label has no image.
    """
    together = images_dir.resolve() == labels_dir.resolve()
    images = _stems(images_dir, img_suffixes, without=seg_suffixes if together else ())
    if not images:
        raise UserError(f'no file ends in {_or(img_suffixes)} in {str(images_dir)!r}; {hint}')
    wanted = list(images)
    if split_file:
        wanted = _listed(split_file, images, img_suffixes)
    labels = _stems(labels_dir, seg_suffixes)
    alone = [stem for stem in wanted if stem not in labels]
    if alone:
        needed = str(labels_dir / f'{alone[0]}{seg_suffixes[0]}')
        others = f' (or {_or(seg_suffixes[1:])})' if seg_suffixes[1:] else ''
        raise UserError(
            f'{len(alone)} of {len(wanted)} images have no label; first: '
            f'{str(images_dir / images[alone[0]])!r} needs {needed!r}{others}'
        )
    spare = [] if split_file or extra_labels else sorted(set(labels) - set(images))
    if spare:
        raise UserError(
            f'{len(spare)} of {len(labels)} labels have no image; first: '
            f'{str(labels_dir / labels[spare[0]])!r} belongs to none that ends in '
            f'{_or(img_suffixes)} in {str(images_dir)!r}; name further suffixes with img_suffix, '
            'or allow it with extra_labels=True'
        )
    return [(images_dir / images[stem], labels_dir / labels[stem]) for stem in wanted]


def pair_csv(path: Path, *, root: Path, columns: Sequence[str] | None = None) -> list[Pair]:
    """Returns (image, label) of each row of a csv, in its order.

    Paths are absolute, or relative to the csv's folder or to ``root``: where a file is there.

    Args:
        path: The csv: UTF-8, commas.
        root: Second folder that paths may be relative to.
        columns: Names of the two columns in its header. Without, a header is known by the names
            image and label (or mask); else there is none, and the first two columns count.

    Raises:
        UserError: If it is missing, empty, has no such columns, or names files that are not there.
    """
    if not path.is_file():
        raise UserError(f'csv {str(path)!r} does not exist')
    with path.open(newline='', encoding='utf-8-sig') as file:
        rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    header = [cell.strip() for cell in rows[0]] if rows else []
    names = columns or next((pair for pair in _HEADERS if set(pair) <= set(header)), None)
    if names is None:
        at = (0, 1)
    elif set(names) <= set(header):
        at, rows = tuple(header.index(name) for name in names), rows[1:]
    else:
        raise UserError(f'csv {str(path)!r} has the columns {header}, not {list(names)}')
    short = [row for row in rows if len(row) <= max(at)]
    if short or not rows:
        what = f'{len(short)} rows without two columns, first: {short[0]}' if short else 'no rows'
        raise UserError(
            f'csv {str(path)!r} has {what}; expected an image and a label a row, with commas'
        )
    image_at, label_at = at
    pairs = [
        (_place(row[image_at], path.parent, root), _place(row[label_at], path.parent, root))
        for row in rows
    ]
    _check_there(path, root, [file for pair in pairs for file in pair])
    return pairs


def _check_there(path: Path, root: Path, files: Sequence[Path]) -> None:
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(
            f'csv {str(path)!r} names {len(missing)} files of {len(files)} that are not there; '
            f'first: {str(missing[0])!r} (paths are relative to the csv or to {str(root)!r}; name '
            'the columns of a header with csv_columns)'
        )


def _place(name: str, *folders: Path) -> Path:
    places = [folder / name.strip() for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _listed(split_file: str, images: dict[str, str], suffixes: Sequence[str]) -> list[str]:
    """Returns the stems that a split file lists, sorted by the images' names."""
    if not Path(split_file).is_file():
        raise UserError(f'ann_file {split_file!r} does not exist')
    lines = (line.strip() for line in Path(split_file).read_text().splitlines())
    # a name with a dot may be one without suffix
    stems = {name if name in images else _stem(name, suffixes) or name for name in lines if name}
    missing = sorted(stems - set(images))
    if missing:
        name = f'{missing[0]}{suffixes[0]}'
        raise UserError(
            f'{split_file!r} lists {len(missing)} images that are not there; first: {name!r}'
        )
    if not stems:
        raise UserError(f'ann_file {split_file!r} lists no image')
    return sorted(stems, key=images.__getitem__)


def _stems(folder: Path, suffixes: Sequence[str], without: Sequence[str] = ()) -> dict[str, str]:
    """Returns name without suffix -> name of the files below a folder, sorted by name."""
    stems: dict[str, str] = {}
    files = (path for path in folder.rglob('*') if not path.name.startswith('.'))
    for name in sorted(path.relative_to(folder).as_posix() for path in files):
        stem = _stem(name, suffixes)
        if stem is None or _stem(name, without) is not None:
            continue
        if stem in stems:
            raise UserError(
                f'{str(folder)!r} has two files of one name, {stems[stem]!r} and {name!r}: say '
                'which is meant with img_suffix and seg_map_suffix'
            )
        stems[stem] = name
    return stems


def _stem(name: str, suffixes: Sequence[str]) -> str | None:
    """Returns a name without the longest suffix it has, None where it has none."""
    lower = name.lower()
    fitting = [len(suffix) for suffix in suffixes if lower.endswith(suffix.lower())]
    return name[: len(name) - max(fitting)] if fitting else None


def _or(words: Sequence[str]) -> str:
    return ' or '.join(repr(word) for word in words)


def suffixes(value: str | Sequence[str]) -> tuple[str, ...]:
    """Returns one suffix or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)
