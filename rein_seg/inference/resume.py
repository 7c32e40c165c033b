"""Finds what earlier commands have finished, and removes what killed commands left."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rein_seg.errors import UserError
from rein_seg.inference.items import Item
from rein_seg.inference.names import OVERLAYS, SCORES
from rein_seg.inference.record import Found


def finished(items: Sequence[Item], found: Sequence[Found], out: str) -> dict[str, dict[str, Any]]:
    """Returns name -> entry of the inputs whose outputs are all there.

    Args:
        items: The inputs of a command.
        found: Records of earlier commands.
        out: Folder of the outputs.

    Raises:
        UserError: If an output was made from another file.
    """
    done: dict[str, dict[str, Any]] = {}
    begun = {name: entry for record in found for name, entry in record.begun.items()}
    for record in found:
        done |= record.done
    earlier = {}
    for item in items:
        if item.name in begun:
            _check_source(item, begun[item.name], out)
        if item.name in done and _is_whole(done[item.name], out):
            earlier[item.name] = done[item.name]
    return earlier


def _check_source(item: Item, entry: Mapping[str, Any], out: str) -> None:
    if 'source' not in entry:
        return  # a file to replace
    path = os.path.abspath(item.source.path)
    try:
        size, changed = item.source.stamp
    except OSError:
        return  # the reader says so
    before = (entry.get('source'), entry.get('bytes'), entry.get('changed_ns'))
    if before != (path, size, changed):
        what = 'has changed since' if before[0] == path else f'is not {before[0]!r}'
        raise UserError(
            f'{os.path.join(out, entry["output"])!r} was predicted from another file: '
            f'{item.source.path!r} {what}; give another --out, or --overwrite'
        )


def _is_whole(entry: Mapping[str, Any], out: str) -> bool:
    """Tells whether all files of an input are there."""
    places = [entry[key] for key in ('output', 'overlay', 'scores') if key in entry]
    if 'frames' not in entry:
        return all(os.path.isfile(os.path.join(out, place)) for place in places)
    folders = [place for place in places if not place.endswith('.mp4')]
    numbers = [sum(1 for _ in Path(out, place).glob('[0-9]*.[pn][np][gy]')) for place in folders]
    whole = all(number >= entry['frames'] for number in numbers)
    return whole and all(os.path.isfile(os.path.join(out, p)) for p in places if p not in folders)


def remove_stray(out: str, found: Sequence[Found], path: Path) -> None:
    """Removes temporary files that a killed command left.

    Args:
        out: Folder of the outputs.
        found: Earlier records.
        path: Of the record whose command was killed; other shards may be at work.
    """
    for record in found:
        for name, entry in record.begun.items():
            # without a source it is a file to replace, which nobody was writing
            if record.path == path and name not in record.done and 'source' in entry:
                _remove_temporary(out, entry)


def _remove_temporary(out: str, entry: Mapping[str, Any]) -> None:
    name = entry['name']
    places = [
        entry['output'],
        f'{OVERLAYS}/{name}.jpg',
        f'{OVERLAYS}/{name}.mp4',
        f'{SCORES}/{name}.npy',
    ]
    for path in (Path(out, place) for place in places):
        if path.parent.is_dir():
            for file in path.parent.glob(f'.{glob.escape(path.name)}.????????.tmp*'):
                file.unlink()
    if entry['output'] == name:  # a video
        for folder in (Path(out, name), Path(out, SCORES, name)):
            for file in folder.glob('.*.????????.tmp'):
                file.unlink()
