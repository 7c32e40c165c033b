"""From a folder to a data file."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rein_seg.checkpoint import write_new, write_text
from rein_seg.config.data_file import read_benchmark
from rein_seg.config.data_file.benchmark import clean_name
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.pictures import read_header
from rein_seg.errors import UserError, near_misses
from rein_seg.own_data.class_names import Names, find_names, read_names
from rein_seg.own_data.contents import Contents, Proposal, count_labels, propose
from rein_seg.own_data.groups import Group, choose_rule, make_groups
from rein_seg.own_data.layouts import Found, Pair, find_lists, find_pairs
from rein_seg.own_data.polygons import draw_export, find_export
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
) -> Initialised:
    """Looks at a folder of images and labels, and writes a data file.

    Args:
        folder: With images and masks, or images and an export of polygons.
        out: The data file; default ``data.yaml`` in the folder.
        name: Of the data; default the folder's.
        classes: File with the names of the classes.
        unlabelled: Pixels outside of polygons: ``background``, a class, or ``ignore``.
        source: Domain that trains; default the domain with a training split, else the largest.

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
    file = Path(out).expanduser() if out is not None else root / 'data.yaml'
    _check_places(root, file)
    named = read_names(classes) if classes is not None else None
    export = find_export(root)
    if export is not None:
        drawn = draw_export(root, export, named=named, unlabelled=unlabelled)
        found, named = drawn.found, drawn.names
    else:
        found = find_pairs(root)
    found, sizes = _readable(root, found)
    contents, broken = count_labels([str(root / pair.label) for pair in found.pairs])
    _leave_out(root, found, broken)
    proposal, note = _proposal(root, contents, named)
    title = name or clean_name(root.resolve().name)
    groups = make_groups(root, _with_lists(root, found), title)
    sources = _sources(groups, source)
    rules = {one.domain: choose_rule(one) for name in sources for one in _to_divide(groups, name)}
    _as_targets(groups, sources)
    text = data_text(
        title,
        proposal,
        groups,
        rules,
        size=_size(sizes, found.pairs),
        sources=sources,
        root=_root(root, file),
    )
    _write(root, file, groups, text)
    report = f'{_report(file, proposal, contents, sizes, root)}\n{note}'
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


def _root(root: Path, file: Path) -> str | None:
    """Returns the folder of the data relative to a data file that lies elsewhere."""
    if file.parent.resolve() == root.resolve():
        return None
    return os.path.relpath(root.resolve(), file.parent.resolve())


def _readable(root: Path, found: Found) -> tuple[Found, dict[str, Size]]:
    """Returns the pairs whose headers can be read and have one size, and the images' sizes."""

    def look(pair: Pair) -> Size | str:
        try:
            image = read_header(str(root / pair.image))
            label = read_header(str(root / pair.label))
        except (UserError, OSError) as error:
            return ' '.join(str(error).split())
        if image.size() == label.size():
            return image.size()
        return f'image {image.size()} and label {label.size()} have two sizes (height, width)'

    looks = in_parallel(look, found.pairs)
    good: list[Pair] = []
    sizes: dict[str, Size] = {}
    for pair, size in zip(found.pairs, looks, strict=True):
        if isinstance(size, str):
            found.skipped[pair.image] = size
        else:
            good.append(pair)
            sizes[pair.image] = size
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
            return propose(contents, None), f'{usual.name} names other classes ({why})'
    return propose(contents, None), 'names are proposed: correct them, or give --classes FILE'


def _leave_out(root: Path, found: Found, broken: dict[str, str]) -> None:
    for pair in found.pairs:
        if str(root / pair.label) in broken:
            found.skipped[pair.image] = broken[str(root / pair.label)]
    found.pairs = [pair for pair in found.pairs if pair.image not in found.skipped]


def _with_lists(root: Path, found: Found) -> list[Pair]:
    """Returns the pairs with the splits of text files that list them, where folders have none."""
    if any(pair.split for pair in found.pairs):
        return found.pairs
    lists = find_lists(root, [pair.image for pair in found.pairs])
    split_of: dict[str, str] = {}
    for split, file in lists.items():
        for line in (root / file).read_text(encoding='utf-8', errors='replace').splitlines():
            if line.strip():
                split_of[Path(line.split()[0]).stem] = split
    if not split_of:
        return found.pairs
    kept = []
    for pair in found.pairs:
        split = split_of.get(Path(pair.image).stem)
        if split is None:
            found.skipped[pair.image] = f'in none of the lists {", ".join(lists.values())}'
        else:
            kept.append(Pair(pair.image, pair.label, pair.domain, split))
    return kept


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


def _as_targets(groups: Sequence[Group], sources: Sequence[str]) -> None:
    """Makes the only split of a target a test."""
    for group in groups:
        own = [one for one in groups if one.domain == group.domain]
        if group.domain not in sources and len(own) == 1:
            group.split = 'test'


def _size(sizes: dict[str, Size], pairs: Sequence[Pair]) -> int:
    short = statistics.median_low([min(sizes[pair.image]) for pair in pairs])
    return max(SMALLEST, min(LARGEST, short))


def _write(root: Path, file: Path, groups: Sequence[Group], text: str) -> None:
    for group in groups:
        if group.csv is not None:
            place = root / group.entry['csv']
            place.parent.mkdir(exist_ok=True)
            write_text(place, group.csv)
    write_new(file, text)


def _report(
    file: Path, proposal: Proposal, contents: Contents, sizes: dict[str, Size], root: Path
) -> str:
    """Returns the tables, of the written file as a run reads it."""
    from mmseg.registry import DATASETS

    benchmark = read_benchmark(str(file))
    rows = []
    for use in ('train', 'val', 'test'):
        for domain in benchmark.domains(use):
            node = {**domain.node, 'data_root': benchmark.data_root}
            dataset = DATASETS.build(node)
            infos = [dataset.get_data_info(i) for i in range(len(dataset))]
            met = Counter(_shown(sizes, root, info['img_path']) for info in infos)
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


def _shown(sizes: dict[str, Size], root: Path, path: str) -> str:
    height, width = sizes.get(str(Path(path).relative_to(root)), (0, 0))
    return f'{width}x{height}'
