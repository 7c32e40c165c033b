"""The description of images of 1 to 12 bands: names, statistics, values without data.

N bands of a file, C bands that a model takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rein_seg.errors import UserError, near_misses

MOST_BANDS = 12  # that a model takes
MOST_IN_FILE = 64
NAN = 'nan'
Axes = Literal['HWC', 'CHW']
KEYS = ('names', 'use', 'mean', 'std', 'axes', 'nodata', 'value_range')


@dataclass(frozen=True)
class Bands:
    """The bands of image files, and the bands that a model takes of them.

    Attributes:
        names: Of the N bands, in the order of the files.
        use: Names of the C bands that the model takes, in its order; all by default.
        mean: Of each of the N bands, in the units of the files; None is not known yet.
        std: Standard deviation of each of the N bands.
        axes: Order of the axes in ``.npy`` files and in TIFF files that are stacks of pages: HWC or
            CHW. Other TIFF files say it in their tags.
        nodata: Value of pixels without data, or ``'nan'``; these pixels get the mean of the band.
        value_range: (low, high) that values are clipped to, None does not clip.

    Example:
        >>> from rein_seg.bands import Bands
        >>> bands = Bands.of(dict(names=['red', 'nir'], use=['nir'], mean=[80, 3], std=[20, 1]))
        >>> bands.indexes, bands.used_mean, bands.used_std
        ((1,), (3.0,), (1.0,))
    """

    names: tuple[str, ...]
    use: tuple[str, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    axes: Axes | None = None
    nodata: float | str | None = None
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check_names(self.names, 'bands', MOST_IN_FILE)
        for name in self.use:
            if name not in self.names:
                raise UserError(f'bands.use has {name!r}; {near_misses(name, self.names)}')
        if not self.use:
            object.__setattr__(self, 'use', self.names)
        _check_names(self.use, 'bands.use', MOST_BANDS)
        _check_statistics(self)
        if self.axes not in (None, 'HWC', 'CHW'):
            raise UserError(f"axes={self.axes!r}: expected 'HWC' or 'CHW'")
        _check_values(self)

    @classmethod
    def of(cls, described: Mapping[str, Any] | Bands | None) -> Bands | None:
        """Returns the bands of a config's part, None for images in RGB.

        Raises:
            UserError: If a key is unknown, a name stands twice or is not there, a list has another
                length, or a value is out of its range.
        """
        if described is None or isinstance(described, Bands):
            return described
        for key in described:
            if key not in KEYS:
                raise UserError(f'bands has a key {key!r}; {near_misses(key, KEYS)}')
        given = {key: value for key, value in described.items() if value is not None}
        for key in ('names', 'use', 'value_range'):
            if key in given:
                given[key] = tuple(given[key])
        for key in ('mean', 'std'):
            if key in given:
                given[key] = tuple(float(value) for value in given[key])
        return cls(**given)

    @property
    def indexes(self) -> tuple[int, ...]:
        """Place of each used band in the files."""
        return tuple(self.names.index(name) for name in self.use)

    @property
    def used_mean(self) -> tuple[float, ...] | None:
        """Mean of each used band."""
        return None if self.mean is None else tuple(self.mean[i] for i in self.indexes)

    @property
    def used_std(self) -> tuple[float, ...] | None:
        """Standard deviation of each used band."""
        return None if self.std is None else tuple(self.std[i] for i in self.indexes)


def _check_names(names: Sequence[str], key: str, most: int) -> None:
    if not 1 <= len(names) <= most:
        raise UserError(f'{key} has {len(names)} names: expected 1 to {most}, one for each band')
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise UserError(f'{key} has {name!r}: expected names, such as [red, green, blue, nir]')
        if names.count(name) > 1:
            raise UserError(f'{key} has {name!r} twice: expected a name for each band; rename one')


def _check_statistics(bands: Bands) -> None:
    count = len(bands.names)
    for key in ('mean', 'std'):
        values = getattr(bands, key)
        if values is None:
            continue
        if len(values) != count:
            raise UserError(
                f'{key} has {len(values)} numbers for {count} bands ({", ".join(bands.names)}): '
                'expected one for each band of the files, in their order'
            )
        for name, value in zip(bands.names, values, strict=True):
            if not math.isfinite(value) or (key == 'std' and value <= 0):
                wanted = 'a number above 0' if key == 'std' else 'a finite number'
                raise UserError(
                    f'{key} of band {name!r} is {value:g}: expected {wanted}; leave a band '
                    'without content out with use, or compute it with rein-seg check-data'
                )
    if (bands.mean is None) != (bands.std is None):
        there, missing = ('mean', 'std') if bands.std is None else ('std', 'mean')
        raise UserError(f'bands has {there} without {missing}: expected both or none')


def _check_values(bands: Bands) -> None:
    value = bands.nodata
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and value != NAN and not (number and math.isfinite(float(value))):
        raise UserError(f"nodata={value!r}: expected a number, such as -9999, or 'nan'")
    if bands.value_range is not None:
        low, high = bands.value_range if len(bands.value_range) == 2 else (0, 0)
        if not low < high:
            raise UserError(
                f'value_range={list(bands.value_range)}: expected [low, high], such as [0, 10000]'
            )


def short_list(names: Sequence[str]) -> str:
    """Returns names for a message.

    Example:
        >>> from rein_seg.bands import short_list
        >>> short_list(['red', 'nir'])
        '2 bands (red, nir)'
    """
    what = 'band' if len(names) == 1 else 'bands'
    return f'{len(names)} {what} ({", ".join(names)})'
