"""From a folder to a data file."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rein_seg.bands import Bands
from rein_seg.checkpoint import write_new, write_text
from rein_seg.config.data_file import read_benchmark
from rein_seg.config.data_file.benchmark import clean_name
from rein_seg.datasets.files.band_files import ARRAY, band_size
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.pictures import read_header
from rein_seg.errors import UserError, near_misses
from rein_seg.own_data.band_statistics import band_keys, write_statistics
from rein_seg.own_data.class_names import Names, find_names, read_names
from rein_seg.own_data.contents import Contents, count_labels
from rein_seg.own_data.groups import Group, choose_rule, make_groups
from rein_seg.own_data.layouts import PICTURES, Found, Pair, find_pairs
from rein_seg.own_data.lists import with_lists
from rein_seg.own_data.places import place_of, root_of
from rein_seg.own_data.polygons import MASKS, draw_export, find_export
from rein_seg.own_data.proposal import Proposal, propose
from rein_seg.own_data.text import class_table, data_text, table

LARGEST = 384  # proposed short side: more is slow without a GPU
SMALLEST = 32
Size = tuple[int, int]


@dataclass
class Initialised:
    """A written data file, and the findings for its user.

    Attributes:
        file: Path of the data file.
        report: Tables of images and classes.
        skipped: Path -> why it is left out.
    """

    file: Path
    report: str
    skipped: dict[str, str] = field(default_factory=dict)


def init_data(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    name: str | None = None,
    classes: str | None = None,
    unlabelled: str = 'background',
    source: str | None = None,
    bands: Bands | None = None,
) -> Initialised:
    """Looks at a folder of images and labels, and writes a data file.

    Args:
        folder: With images and masks, or images and an export of polygons.
        out: The data file; default ``data.yaml`` in the folder.
        name: Of the data; default the folder's.
        classes: File with the names of the classes.
        unlabelled: Pixels outside of polygons: ``background``, a class, or ``ignore``.
        source: Domain that trains; default the domain with a training split, else the largest.
        bands: Of the images; their mean and std over the training images are written, too. None
            for RGB.

    Raises:
        UserError: If the data file exists, the folder holds no images with labels, or the labels
            cannot be read as classes.

    Example:
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.own_data import init_data
        >>> for kind in ('images', 'masks'):
        ...     Path('leaves', kind).mkdir(parents=True)
        ...     for i in range(10):
        ...         picture = np.uint8(np.arange(64).reshape(8, 8) > 20 + i)
        ...         _ = cv2.imwrite(f'leaves/{kind}/{i}.png', picture)
        >>> done = init_data('leaves')
        >>> print(done.report.partition('class')[0].strip())
        domain  split  images  sizes
        leaves  train  8       8x8
        leaves  val    2       8x8
    """
    root = Path(folder).expanduser()
    root = root.resolve() if '..' in root.parts else root  # .. above a link is another folder
    file = Path(out).expanduser() if out is not None else root / 'data.yaml'
    _check_places(root, file)
    named = read_names(classes) if classes is not None else None
    export = find_export(root)
    if export is not None:
        drawn = draw_export(
            root, export, named=named, unlabelled=unlabelled, place=place_of(MASKS, root, file)
        )
        found, named = drawn.found, drawn.names
    elif unlabelled != 'background':
        raise UserError(
            f'--unlabelled {unlabelled}: {str(root)!r} holds no export of polygons, and it says '
            'what lies outside of them: leave it out, and correct ignore in the data file'
        )
    else:
        found = find_pairs(root, PICTURES if bands is None else (*PICTURES, ARRAY))
    found, sizes = _readable(root, found, bands)
    contents, broken = count_labels([str(root / pair.label) for pair in found.pairs])
    _leave_out(root, found, broken)
    proposal, note = _proposal(root, contents, named)
    title = name or clean_name(root.resolve().name)
    groups = make_groups(
        root, with_lists(root, found), title, lists=place_of('data_lists', root, file)
    )
    sources = _sources(groups, source)
    groups = _settled(groups, sources, found)
    rules = {one.domain: choose_rule(one) for name in sources for one in _to_divide(groups, name)}
    _as_targets(groups, sources)
    text = data_text(
        title,
        proposal,
        groups,
        rules,
        size=_size([sizes[os.path.realpath(root / pair.image)] for pair in found.pairs]),
        sources=sources,
        root=root_of(root, file),
        bands=None if bands is None else band_keys(bands),
    )
    _write(root, file, groups, text)
    if bands is not None:
        write_statistics(file)
    report = f'{_report(file, proposal, contents, sizes)}\n{note}'
    return Initialised(file, report, found.skipped)


def _check_places(root: Path, file: Path) -> None:
    if not root.is_dir():
        kind = 'is no folder' if root.exists() else 'does not exist'
        raise UserError(f'{str(root)!r} {kind}: give the folder of the images and their labels')
    if file.exists():
        raise UserError(
            f'{str(file)!r} exists and is never overwritten: remove or rename it, or name another '
            'file with --out'
        )
    if file.suffix.lower() not in ('.yaml', '.yml'):
        raise UserError(f'--out {str(file)!r}: expected a name that ends in .yaml')
    if not file.parent.is_dir():
        raise UserError(f'--out {str(file)!r}: its folder does not exist: make it, or name another')


def _readable(root: Path, found: Found, bands: Bands | None) -> tuple[Found, dict[str, Size]]:
    """Returns the pairs whose headers are read and have one size; real path -> size of images."""

    def look(pair: Pair) -> Size | str:
        try:
            place = str(root / pair.image)
            image = read_header(place).size() if bands is None else band_size(place, bands)
            label = read_header(str(root / pair.label))
        except (UserError, OSError) as error:
            return ' '.join(str(error).split())
        if image == label.size():
            return image
        return f'image {image} and label {label.size()} have two sizes (height, width)'

    looks = in_parallel(look, found.pairs)
    good: list[Pair] = []
    sizes: dict[str, Size] = {}
    for pair, size in zip(found.pairs, looks, strict=True):
        if isinstance(size, str):
            found.skipped[pair.image] = size
        else:
            good.append(pair)
            sizes[os.path.realpath(root / pair.image)] = size
    if not good:
        raise UserError(
            f'none of the {len(found.pairs)} images with a label can be used; first: {looks[0]}'
        )
    return Found(good, found.lists, found.skipped), sizes


def _proposal(root: Path, contents: Contents, named: Names | None) -> tuple[Proposal, str]:
    """Returns the classes, and a line on their names: a file of names in the folder may fit."""
    if named is not None:
        return propose(contents, named), ''
    usual = find_names(root)
    if usual is not None:
        try:
            return propose(contents, read_names(usual)), f'names from {usual.name}'
        except UserError as error:
            why = str(error).removeprefix('--classes ')
            return propose(contents, None), f'{usual.name} is not used: {why}'
    return propose(contents, None), 'names are proposed: correct them, or give --classes FILE'


def _leave_out(root: Path, found: Found, broken: dict[str, str]) -> None:
    for pair in found.pairs:
        if str(root / pair.label) in broken:
            found.skipped[pair.image] = broken[str(root / pair.label)]
    found.pairs = [pair for pair in found.pairs if pair.image not in found.skipped]


def _sources(groups: Sequence[Group], said: str | None) -> list[str]:
    """Returns the domains that train: as said, those with a train split, or the largest."""
    domains = list(dict.fromkeys(group.domain for group in groups))
    if said is not None:
        if said not in domains:
            raise UserError(f'--source {said!r} is no domain; {near_misses(said, domains)}')
        return [said]
    with_train = [name for name in domains if _split(groups, name, 'train')]
    images: Counter[str] = Counter()
    for group in groups:
        images[group.domain] += len(group.pairs)
    return with_train or [max(domains, key=lambda name: images[name])]


def _split(groups: Sequence[Group], domain: str, split: str | None) -> Group | None:
    return next((one for one in groups if (one.domain, one.split) == (domain, split)), None)


def _to_divide(groups: Sequence[Group], source: str) -> list[Group]:
    """Returns the training images of a source without validation."""
    if _split(groups, source, 'val'):
        return []
    whole = _split(groups, source, 'train') or _split(groups, source, None)
    if whole is None:
        raise UserError(
            f'{source} has no images that train, a test split alone: name a folder of it train'
        )
    return [whole]


def _settled(groups: Sequence[Group], sources: Sequence[str], found: Found) -> list[Group]:
    """Returns the groups, with images beside the splits of their domain as its training images."""
    kept = []
    for group in groups:
        others = {one.split for one in groups if one.domain == group.domain} - {None}
        if group.split is None and 'train' in others:
            reason = f'image without a split, beside {" and ".join(sorted(map(str, others)))}'
            found.skipped.update({pair.image: reason for pair in group.pairs})
            continue
        if group.split is None and others:
            group.split = 'train'
            if group.domain not in sources:
                reason = f'image without a split: trains if {group.domain} is a source'
                found.skipped.update({pair.image: reason for pair in group.pairs})
        kept.append(group)
    return kept


def _as_targets(groups: Sequence[Group], sources: Sequence[str]) -> None:
    """Makes the only split of a target a test."""
    for group in groups:
        own = [one for one in groups if one.domain == group.domain]
        if group.domain not in sources and len(own) == 1:
            group.split = 'test'


def _size(sizes: Sequence[Size]) -> int:
    short = statistics.median_low([min(size) for size in sizes])
    return max(SMALLEST, min(LARGEST, short))


def _write(root: Path, file: Path, groups: Sequence[Group], text: str) -> None:
    _check_text(root, text)
    for group in groups:
        if group.csv is not None:
            place = root / group.entry['csv']
            place.parent.mkdir(parents=True, exist_ok=True)
            write_text(place, group.csv)
    write_new(file, text)


def _check_text(root: Path, text: str) -> None:
    """Reads the text as a run does, before a file of it exists."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / 'data.yaml'
        trial.write_text(text, encoding='utf-8')
        try:
            read_benchmark(str(trial))
        except UserError as error:
            why = str(error).replace(str(trial), 'data.yaml')
            raise UserError(
                f'{str(root)!r} gives a data file that no run reads, and none is written; rename '
                f'folders, or give --name: {why}'
            ) from error


def _report(file: Path, proposal: Proposal, contents: Contents, sizes: dict[str, Size]) -> str:
    """Returns the tables, of the written file as a run reads it."""
    from mmseg.registry import DATASETS

    benchmark = read_benchmark(str(file))
    rows = []
    for use in ('train', 'val', 'test'):
        for domain in benchmark.domains(use):
            node = {**domain.node, 'data_root': benchmark.data_root, 'bands': benchmark.bands}
            dataset = DATASETS.build(node)
            infos = [dataset.get_data_info(i) for i in range(len(dataset))]
            met = Counter(_shown(sizes, info['img_path']) for info in infos)
            common = ', '.join(size for size, _ in met.most_common(3))
            more = f', {len(met) - 3} more' if len(met) > 3 else ''
            rows.append((domain.name, use, str(len(infos)), common + more))
    once = [row for i, row in enumerate(rows) if not _is_repeated(rows, i)]
    images = table(('domain', 'split', 'images', 'sizes'), once)
    return f'{images}\n\n{class_table(proposal, contents)}'


def _is_repeated(rows: Sequence[Sequence[str]], index: int) -> bool:
    """Says whether a test is the validation, which has the row already."""
    row = rows[index]
    return row[1] == 'test' and (row[0], 'val', *row[2:]) in [tuple(one) for one in rows]


def _shown(sizes: dict[str, Size], path: str) -> str:
    height, width = sizes[os.path.realpath(path)]
    return f'{width}x{height}'
