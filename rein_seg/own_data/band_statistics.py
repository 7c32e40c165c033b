"""Mean and deviation of each band over the training images, and their place in a data file.

N bands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.registry import DATASETS

from rein_seg.bands import MOST_BANDS, Bands
from rein_seg.checkpoint import write_text
from rein_seg.config.data_file import read_benchmark
from rein_seg.datasets.files.band_files import read_bands
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.errors import UserError

MOST_IMAGES = 500  # read at most, evenly spread
_DIGITS = 6


def write_statistics(file: str | Path) -> Bands:
    r"""Computes mean and std over the training images of a data file, and writes them into it.

    At most 500 images are read, spread evenly. Pixels without data do not count.

    Args:
        file: A data file with ``bands``.

    Returns:
        The bands, with mean and std.

    Raises:
        UserError: If the file names no bands, an image cannot be read, or a band has one value
            alone.

    Example:
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> from rein_seg.own_data.band_statistics import write_statistics
        >>> for kind in ('images', 'labels'):
        ...     Path('fields', kind).mkdir(parents=True)
        >>> for i in range(2):
        ...     np.save(f'fields/images/{i}.npy', np.uint8([[[0, 4]], [[8, 10]]]) + i)
        ...     _ = cv2.imwrite(f'fields/labels/{i}.png', np.zeros((1, 2), np.uint8))
        >>> text = 'classes: [a, b]\nbands: [red, nir]\naxes: CHW\nimages: images\n'
        >>> text += 'labels: labels\nsplit: {val: 0.5, by: image}'
        >>> _ = Path('fields/data.yaml').write_text(text)
        >>> bands = write_statistics('fields/data.yaml')
        >>> bands.std
        (2.0, 1.0)
        >>> [line for line in Path('fields/data.yaml').open() if line.startswith('std')]
        ['std: [2.0, 1.0]\n']
    """
    place = Path(file).expanduser()
    benchmark = read_benchmark(str(place))
    bands = Bands.of(benchmark.bands)
    if bands is None:
        raise UserError(
            f'{str(file)!r} names no bands, and statistics are of bands: expected a line such as '
            'bands: [red, green, blue, nir]; for RGB leave --statistics out'
        )
    paths: list[str] = []
    for domain in benchmark.domains('train'):
        node = {**domain.node, 'data_root': benchmark.data_root, 'bands': benchmark.bands}
        dataset = DATASETS.build(node)
        paths += [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    known = statistics_of(paths, bands)
    assert known.mean is not None and known.std is not None
    write_text(place, _with_lines(place.read_text('utf-8'), known, str(file)))
    return known


def statistics_of(paths: Sequence[str], bands: Bands) -> Bands:
    """Returns bands with mean and std over images; see `write_statistics`.

    Args:
        paths: Of images.
        bands: Of them.
    """
    chosen = paths[:: max(1, -(-len(paths) // MOST_IMAGES))]
    sums = in_parallel(lambda path: _sums(path, bands), chosen, title='statistics of bands')
    count, total, squares = (sum(parts) for parts in zip(*sums, strict=True))
    for name, seen in zip(bands.names, count, strict=True):
        if not seen:
            raise UserError(
                f'band {name!r} has no data in {len(chosen)} training images: expected values; '
                'leave it out with use: [...] in the data file, or correct nodata'
            )
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    for name, value, middle in zip(bands.names, std, mean, strict=True):
        if value <= 1e-9 * max(1, abs(middle)):
            raise UserError(
                f'band {name!r} has the value {middle:g} alone in {len(chosen)} training images: '
                'expected content; remove the band from the files'
            )
    rounded = ([float(f'{x:.{_DIGITS}g}') for x in values] for values in (mean, std))
    return replace(bands, **dict(zip(('mean', 'std'), map(tuple, rounded), strict=True)))


def _sums(path: str, bands: Bands) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns number, sum and sum of squares of the values of each of the N bands."""
    found = []
    for start in range(0, len(bands.names), MOST_BANDS):
        part = bands.names[start : start + MOST_BANDS]
        image = read_bands(path, replace(bands, use=part, mean=None, std=None))
        found.append(image.reshape(-1, len(part)).astype(np.float64))
    values = np.concatenate(found, 1)
    there = np.isfinite(values)
    values = np.where(there, values, 0)
    return there.sum(0), values.sum(0), (values**2).sum(0)


def _with_lines(text: str, bands: Bands, file: str) -> str:
    """Returns the text of a data file with mean and std in front of its bands."""
    for key in ('mean', 'std'):
        if re.search(rf'^{key}:(?![ \t]*\[[^\]\n]*\][ \t]*(#.*)?$)', text, re.MULTILINE):
            raise UserError(
                f'{file!r} has {key} over several lines: expected one line, {key}: [...]; remove '
                'these lines, and they are written anew'
            )
        text = re.sub(rf'^{key}:.*\n?', '', text, flags=re.MULTILINE)
    lines = ''.join(f'{key}: {list(getattr(bands, key))}\n' for key in ('mean', 'std'))
    return re.sub(r'^bands:', lambda match: lines + match[0], text, count=1, flags=re.MULTILINE)


def band_keys(bands: Bands) -> Mapping[str, Any]:
    """Returns the keys of a data file that describe bands, without their statistics."""
    said = {'bands': list(bands.names), 'axes': bands.axes, 'nodata': bands.nodata}
    return {key: value for key, value in said.items() if value is not None}
