"""Names of outputs: short where that is clear, longer where two inputs would share a name."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from rein_seg.inference.sources import RASTERS, Source

OVERLAYS, SCORES = 'overlays', 'scores'


def output_names(sources: Sequence[Source]) -> list[str]:
    """Returns the name of each input's outputs, a path without suffix below the output folder.

    A name is the input's path below the given folder, without suffix. Inputs that would share a
    name keep their suffix (``a.jpg``, ``a.png``). Where that is not enough, folders of the input
    stand in front (``cam1/a.jpg``). The names depend on all inputs, not on their order.

    Example:
        >>> from rein_seg.inference.names import output_names
        >>> from rein_seg.inference.sources import Source
        >>> names = ['a.jpg', 'a.png', 'day/b.png']
        >>> output_names([Source(f'/in/{name}', name, '/in') for name in names])
        ['a.jpg', 'a.png', 'day/b']
        >>> output_names([Source(f'/in/{cam}/a.png', 'a.png', f'/in/{cam}') for cam in 'xy'])
        ['x/a.png', 'y/a.png']
    """
    levels = [0] * len(sources)
    names = [_name(source, 0) for source in sources]
    while clashing := _clashes(names, sources):
        for index in clashing:
            levels[index] += 1
            names[index] = _name(sources[index], levels[index])
    return names


def _name(source: Source, level: int) -> str:
    if level == 0:
        return os.path.splitext(source.name)[0]
    folders = [part for part in source.folder.split('/') if part]
    more = level - 1
    name = '/'.join([*folders[max(len(folders) - more, 0) :], source.name])
    return name if more <= len(folders) else f'{name}-{more - len(folders) + 1}'


def _clashes(names: Sequence[str], sources: Sequence[Source]) -> set[int]:
    """Returns the indexes of inputs of which an output is another's output, or its folder."""
    owners: dict[str, list[int]] = defaultdict(list)
    folders: set[str] = set()
    for index, (name, source) in enumerate(zip(names, sources, strict=True)):
        owners[f'{name}/'].append(index)  # names are unique, too
        for place in planned(name, source):
            folders.update(_folders(place))
            owners[place].append(index)
    equal = [index for several in owners.values() if len(several) > 1 for index in several]
    return set(equal).union(*(owners[place] for place in folders & owners.keys()))


def _folders(name: str) -> Iterator[str]:
    while name := os.path.dirname(name):
        yield name


def planned(name: str, source: Source) -> list[str]:
    """Returns the paths below the output folder that an input's outputs may have.

    Example:
        >>> from rein_seg.inference.names import planned
        >>> from rein_seg.inference.sources import Source
        >>> planned('day/a', Source('/in/day/a.jpg', 'day/a.jpg', '/in'))
        ['day/a.png', 'overlays/day/a.jpg', 'scores/day/a.npy']
    """
    if source.is_video:
        return [name, f'{OVERLAYS}/{name}.mp4', f'{SCORES}/{name}']
    maps = [f'{name}.png', *([f'{name}.tif'] if source.suffix in RASTERS else [])]
    return [*maps, f'{OVERLAYS}/{name}.jpg', f'{SCORES}/{name}.npy']
