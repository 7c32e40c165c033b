"""Splits by text files that list images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from rein_seg.datasets.files.walk import walk
from rein_seg.errors import UserError
from rein_seg.own_data.layouts import PICTURES, WRITTEN, Found, Pair

_SPLITS = ('train', 'val', 'test')
Parts = tuple[str, ...]


def with_lists(root: Path, found: Found) -> list[Pair]:
    """Returns the pairs with the splits of text files that list them, where folders have none.

    Raises:
        UserError: If an image is in two lists, or no list tells which images it means.
    """
    if any(pair.split for pair in found.pairs):
        return found.pairs
    by_end = _by_end([pair.image for pair in found.pairs])
    lists = _find_lists(root, by_end)
    if not lists:
        return found.pairs
    split_of = _splits(root, lists, by_end)
    kept = []
    for pair in found.pairs:
        split = split_of.get(pair.image)
        if split is None:
            found.skipped[pair.image] = f'in none of the lists {", ".join(lists.values())}'
        else:
            kept.append(Pair(pair.image, pair.label, pair.domain, split))
    if not kept:
        raise UserError(
            f'{" and ".join(lists.values())} list names that several images have each: expected '
            'one image for a name; write paths such as seq1/0001.png in the lists'
        )
    return kept


def _parts(name: str) -> Parts:
    """Returns the parts of a path, without the ending of a picture."""
    pure = PurePosixPath(name.replace('\\', '/'))
    if pure.suffix.lower() in PICTURES:
        pure = pure.with_suffix('')
    return tuple(part for part in pure.parts if part not in ('/', '..'))


def _by_end(images: Sequence[str]) -> dict[Parts, list[str]]:
    """Returns the ends of paths -> images that have them."""
    found: dict[Parts, list[str]] = {}
    for name in images:
        parts = _parts(name)
        for i in range(len(parts)):
            found.setdefault(parts[i:], []).append(name)
    return found


def _listed(path: Path) -> list[str]:
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def _find_lists(folder: Path, by_end: Mapping[Parts, list[str]]) -> dict[str, str]:
    """Returns train, val, test -> text file below the folder that lists images alone."""
    found: dict[str, str] = {}
    for name, path in sorted(walk(str(folder), Counter()).items(), key=lambda one: len(one[0])):
        pure = PurePosixPath(name)
        if pure.suffix.lower() != '.txt' or pure.stem.lower() not in _SPLITS:
            continue
        if pure.parts[0] in WRITTEN or pure.stem.lower() in found:
            continue
        named = _listed(Path(path))
        if named and all(_parts(one)[-1:] in by_end for one in named):
            found[pure.stem.lower()] = name
    return found if 'train' in found else {}


def _splits(
    root: Path, lists: Mapping[str, str], by_end: Mapping[Parts, list[str]]
) -> dict[str, str]:
    """Returns image -> split of the list that has the longest end of its path."""
    lengths: dict[str, dict[str, int]] = {}
    for split, file in lists.items():
        for name in _listed(root / file):
            image, length = _image(_parts(name), by_end)
            if image is not None:
                own = lengths.setdefault(image, {})
                own[split] = max(length, own.get(split, 0))
    chosen = {}
    for image, own in lengths.items():
        best = [split for split, length in own.items() if length == max(own.values())]
        if len(best) > 1:
            raise UserError(
                f'{image} is in {" and in ".join(lists[one] for one in sorted(best))}: expected an '
                'image in one list, so that no image both trains and tests; take it out of the '
                'others'
            )
        chosen[image] = best[0]
    return chosen


def _image(parts: Parts, by_end: Mapping[Parts, list[str]]) -> tuple[str | None, int]:
    """Returns the only image with the longest end of a listed path, and the end's length."""
    for i in range(len(parts)):
        fitting = by_end.get(parts[i:], [])
        if fitting:
            return (fitting[0] if len(fitting) == 1 else None), len(parts) - i
    return None, 0
