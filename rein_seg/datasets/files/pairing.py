"""Pairs images with their labels: by the names in two folders, or by a csv."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rein_seg.datasets.files.faults import (
    LISTING,
    MISSING,
    NO_IMAGE,
    NO_LABEL,
    are_collected,
    refuse,
)
from rein_seg.datasets.files.listing import list_files, read_bytes
from rein_seg.datasets.files.walk import check_name
from rein_seg.errors import UserError

# paths; `files.read_bytes` reads both
Pair = tuple[Path | str, Path | str]
_HEADERS = (('image', 'label'), ('image', 'mask'))


def pair_folders(
    images_dir: Path | str,
    labels_dir: Path | str,
    *,
    img_suffixes: Sequence[str],
    seg_suffixes: Sequence[str],
    starts: tuple[str, str] = ('', ''),
    split_file: str = '',
    hint: str = '',
    extra_labels: bool = True,
    left_out: Counter[str] | None = None,
) -> list[Pair]:
    """Returns (image, label) of each image in a folder or zips, sorted by name.

    A label has the image's sub-folder and name, but a label's suffix. If both share one folder, a
    file with a label's suffix is not an image. Suffixes ignore case; names that start with a dot
    are left out.

    Args:
        images_dir: Folder, searched recursively, or zips, as `list_files`.
        labels_dir: Likewise.
        img_suffixes: Ends of images' names.
        seg_suffixes: Ends of labels' names.
        starts: Beginnings of the names of images and of labels, if they differ.
        split_file: File that lists the names to take, with or without suffix, one a line.
        hint: Where to get the data, for error messages.
        extra_labels: Whether labels without an image are allowed; with a split file they are.
        left_out: Counts of files left out, by reason; added to.

    Raises:
        UserError: If there is no image, an image has no label, two files have one name, a listed
            image is missing, a name cannot be shown, or (unless allowed) a label has no image.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets.files.pairing import pair_folders
        >>> for name in ('images/b.jpg', 'images/a.jpg', 'labels/a_ids.png', 'labels/b_ids.png'):
        ...     Path(name).parent.mkdir(exist_ok=True)
        ...     Path(name).touch()
        >>> pair_folders('images', 'labels', img_suffixes=['.jpg'], seg_suffixes=['_ids.png'])
        [('images/a.jpg', 'labels/a_ids.png'), ('images/b.jpg', 'labels/b_ids.png')]
    """
    img_start, seg_start = starts
    # labels such as a_mask.png would else count as images of their own
    together = Path(images_dir).resolve() == Path(labels_dir).resolve() and starts == ('', '')
    counts: Counter[str] = Counter() if left_out is None else left_out
    without = seg_suffixes if together else ()
    images = _stems(images_dir, img_suffixes, start=img_start, without=without, left_out=counts)
    if not images:
        raise UserError(f'no file ends in {_or(img_suffixes)} in {str(images_dir)!r}; {hint}')
    wanted = list(images)
    if split_file:
        wanted = _listed(split_file, images, img_suffixes)
        counts['images not in ann_file'] += len(images) - len(wanted)
    # in a shared folder the images are no labels that were left out
    others: Counter[str] = Counter()
    labels = _stems(labels_dir, seg_suffixes, start=seg_start, left_out=others)
    counts.update({} if together else others)
    alone = [stem for stem in wanted if stem not in labels]
    if alone:
        needed = str(Path(labels_dir, _name(alone[0], seg_start, seg_suffixes[0])))
        more = f' (or {_or(seg_suffixes[1:])})' if seg_suffixes[1:] else ''
        refuse(
            NO_LABEL,
            [images[stem] for stem in alone],
            f'{len(alone)} of {len(wanted)} images have no label; first: '
            f'{images[alone[0]]!r} needs {needed!r}{more}',
        )
        wanted = [stem for stem in wanted if stem in labels]
    allowed = bool(split_file) or (extra_labels and not are_collected())
    spare = sorted(set(labels) - set(images))
    if allowed:
        counts['labels without an image'] += 0 if together else len(spare)
    elif spare:
        refuse(
            NO_IMAGE,
            [labels[stem] for stem in spare],
            f'{len(spare)} of {len(labels)} labels have no image; first: '
            f'{labels[spare[0]]!r} belongs to none that ends in '
            f'{_or(img_suffixes)} in {str(images_dir)!r}; name further suffixes with img_suffix, '
            'or allow it with extra_labels=True',
        )
    return [(images[stem], labels[stem]) for stem in wanted]


def list_images(
    images_dir: Path | str,
    suffixes: Sequence[str],
    *,
    start: str = '',
    split_file: str = '',
    hint: str = '',
    left_out: Counter[str] | None = None,
) -> list[str]:
    """Returns the images in a folder or zips, sorted by name, as `pair_folders` finds them.

    Raises:
        UserError: If there is no image, two have the same name, a listed image is missing, or a
            name cannot be shown.
    """
    images = _stems(images_dir, suffixes, start=start, left_out=left_out)
    if not images:
        raise UserError(f'no file ends in {_or(suffixes)} in {str(images_dir)!r}; {hint}')
    wanted = _listed(split_file, images, suffixes) if split_file else list(images)
    if left_out is not None:
        left_out['images not in ann_file'] += len(images) - len(wanted)
    return [images[stem] for stem in wanted]


def leave_out(pairs: Sequence[Pair], names: Sequence[str]) -> list[Pair]:
    """Leaves out the pairs whose image has one of the names.

    Args:
        pairs: As `pair_folders` returns them.
        names: File names of images, with or without ending, with or without folders.

    Raises:
        UserError: If a name fits no image.

    Example:
        >>> from rein_seg.datasets.files.pairing import leave_out
        >>> leave_out([('day/a.png', 'l/a.png'), ('day/b.png', 'l/b.png')], ['day/b'])
        [('day/a.png', 'l/a.png')]
    """
    left = {name.strip('/') for name in names}
    kept, met = [], set()
    for pair in pairs:
        path = str(pair[0])
        hits = left & _names_of(path)
        met |= hits
        if not hits:
            kept.append(pair)
    if left - met:
        refuse(
            MISSING,
            sorted(left - met),
            f'skip names {len(left - met)} images that are not there; first: '
            f'{sorted(left - met)[0]!r}',
        )
    return kept


def _names_of(path: str) -> set[str]:
    """Returns all names of a path: a/b.png, b.png, a/b, b."""
    parts = path.split('/')
    ends = ['/'.join(parts[i:]) for i in range(len(parts))]
    return {*ends, *(end.rsplit('.', 1)[0] for end in ends)}


def pair_csv(path: Path, *, root: Path, columns: Sequence[str] | None = None) -> list[Pair]:
    r"""Returns (image, label) of each row of a csv, in its order.

    Paths are absolute, or relative to the csv's folder or to ``root`` (the first that exists).

    Args:
        path: The csv: UTF-8, commas.
        root: Second folder that paths may be relative to.
        columns: Names of the two columns in its header. If None, a first row with the names image
            and label (or mask) is a header; otherwise the first two columns are read.

    Raises:
        UserError: If the csv is missing, empty or damaged, lacks the columns, names missing files,
            or a name cannot be shown.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets.files.pairing import pair_csv
        >>> for name in ('a.jpg', 'a.png'):
        ...     Path(name).touch()
        >>> _ = Path('list.csv').write_text('mask,image\na.png,a.jpg\n')
        >>> pair_csv(Path('list.csv'), root=Path())
        [(PosixPath('a.jpg'), PosixPath('a.png'))]
    """
    if not path.is_file():
        raise UserError(f'csv {str(path)!r} does not exist')
    try:
        lines = csv.reader(io.StringIO(read_text(path), newline=''))
        rows = [row for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f'csv {str(path)!r} cannot be read: {error}; save it again') from error
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
    pairs = [pair for pair in pairs if not any(_is_odd(str(file)) for file in pair)]
    missing = _check_there(path, root, [file for pair in pairs for file in pair])
    return [pair for pair in pairs if not missing & {*pair}]


def _check_there(path: Path, root: Path, files: Sequence[Path]) -> set[Path]:
    missing = [file for file in files if not file.is_file()]
    if missing:
        refuse(
            MISSING,
            missing,
            f'csv {str(path)!r} names {len(missing)} files of {len(files)} that are not there; '
            f'first: {str(missing[0])!r} (paths are relative to the csv or to {str(root)!r}; name '
            'the columns of a header with csv_columns)',
        )
    return set(missing)


def _place(name: str, *folders: Path) -> Path:
    places = [folder / name.strip() for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _listed(split_file: str, images: dict[str, str], suffixes: Sequence[str]) -> list[str]:
    """Returns the stems in a split file, in the order of the images."""
    if not Path(split_file).is_file():
        raise UserError(f'ann_file {split_file!r} does not exist')
    lines = (line.strip() for line in read_text(split_file).splitlines())
    # a name such as 01.day may lack the suffix already
    stems = {name if name in images else _stem(name, suffixes) or name for name in lines if name}
    missing = sorted(stems - set(images))
    if missing:
        name = f'{missing[0]}{suffixes[0]}'
        refuse(
            MISSING,
            missing,
            f'{split_file!r} lists {len(missing)} images that are not there; first: {name!r}',
        )
    if not stems:
        raise UserError(f'ann_file {split_file!r} lists no image')
    return [stem for stem in images if stem in stems]


def read_text(path: Path | str) -> str:
    """Returns the content of a text file.

    Raises:
        UserError: If it is not UTF-8.
    """
    try:
        # utf-8-sig: spreadsheets begin their csv files with a byte order mark
        return read_bytes(str(path)).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{str(path)!r} is no UTF-8 ({error.reason}): save it as UTF-8') from error


def _stems(
    folder: Path | str,
    suffixes: Sequence[str],
    *,
    start: str = '',
    without: Sequence[str] = (),
    left_out: Counter[str] | None = None,
) -> dict[str, str]:
    """Returns the files below a folder: name without start and suffix -> path, sorted."""
    counts: Counter[str] = Counter() if left_out is None else left_out
    files = list_files(folder, counts)
    names: dict[str, str] = {}
    for name in sorted(files):
        if _stem(name, without) is not None:
            continue
        stem = _stem(name, suffixes, start)
        if stem is None:
            counts[Path(name).suffix.lower() or 'without a suffix'] += 1
            continue
        if _is_odd(files[name]):
            continue
        if stem in names:
            refuse(
                LISTING,
                [files[name]],
                f'{str(folder)!r} has two files of one name, {names[stem]!r} and {name!r}: say '
                'which is meant with img_suffix and seg_map_suffix',
            )
            continue
        names[stem] = name
    return {stem: files[name] for stem, name in names.items()}


def _is_odd(path: str) -> bool:
    """Tells whether a path cannot be shown, which is a fault."""
    try:
        check_name(path)
    except UserError as error:
        refuse(LISTING, [ascii(path)], str(error))
        return True
    return False


def _stem(name: str, suffixes: Sequence[str], start: str = '') -> str | None:
    """Removes start and longest suffix from a name; None if it lacks them."""
    lower = name.lower()
    fitting = [len(suffix) for suffix in suffixes if lower.endswith(suffix.lower())]
    folder, slash, last = name.rpartition('/')
    if not fitting or not last.startswith(start):
        return None
    return folder + slash + last[len(start) : len(last) - max(fitting)]


def _name(stem: str, start: str, suffix: str) -> str:
    folder, slash, last = stem.rpartition('/')
    return f'{folder}{slash}{start}{last}{suffix}'


def _or(words: Sequence[str]) -> str:
    return ' or '.join(repr(word) for word in words)


def suffixes(value: str | Sequence[str]) -> tuple[str, ...]:
    """Returns one suffix or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)
