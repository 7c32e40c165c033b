"""Sizes of images and labels, and which way up they lie, from the files' headers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rein_seg.bands import Bands
from rein_seg.datasets.files.band_files import band_size
from rein_seg.datasets.files.pairing import Pair
from rein_seg.datasets.files.parallel import in_parallel
from rein_seg.datasets.files.pictures import Header, read_header
from rein_seg.errors import UserError


def image_size(info: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the (height, width) that a sample's image loads at.

    Args:
        info: Fields of a sample of a `DomainDataset`.

    Raises:
        UserError: If a header cannot be read, or as `check_turn`.
    """
    if info.get('bands') is not None:
        return _band_size(info['img_path'], info['bands'])
    header = _header(info['img_path'], 'image')
    check_turn(info, header)
    return header.size(info.get('orientation'))


def check_turn(info: Mapping[str, Any], image: Header) -> None:
    """Checks that a label fits an image that its EXIF data turn or flip.

    Both are read as displayed. A label whose own EXIF data say nothing may have been drawn on the
    image as displayed or as stored; only a size can tell.

    Args:
        info: Fields of a sample.
        image: Header of its image.

    Raises:
        UserError: If it cannot be known.
    """
    path = info.get('seg_map_path')
    if path is None or not image.turned or info.get('orientation') is not None:
        return
    label = _header(path, 'label')
    told = image.size() != image.stored and label.size() in (image.size(), image.stored)
    if label.orientation is None and not told:
        raise UserError(
            f'image {info["img_path"]!r} is turned or flipped by its EXIF data (orientation '
            f'{image.orientation}), its label {path!r} is not: expected to know which image the '
            "label was drawn on; give the data set orientation='displayed' or 'stored'"
        )


def _header(path: str, what: str) -> Header:
    try:
        return read_header(path)
    except OSError as error:
        raise UserError(
            f'{what} {path!r} cannot be read: {error.strerror or error}; copy it again'
        ) from error


def _band_size(path: str, bands: Bands) -> tuple[int, int]:
    try:
        return band_size(path, bands)
    except OSError as error:
        raise UserError(
            f'image {path!r} cannot be read: {error.strerror or error}; copy it again'
        ) from error


def of_one_size(
    pairs: Sequence[Pair], orientation: str | None = None, *, bands: Bands | None = None
) -> list[Pair]:
    """Returns the pairs whose image and label load at the same size.

    Args:
        pairs: Image and label.
        orientation: Of the data set.
        bands: Of the images, None for RGB.

    Raises:
        UserError: If a header cannot be read.
    """

    def fits(pair: Pair) -> bool:
        if bands is not None:
            size = _header(str(pair[1]), 'label').size(orientation)
            return _band_size(str(pair[0]), bands) == size
        image, label = (_header(str(path), 'image or label') for path in pair)
        return image.size(orientation) == label.size(orientation)

    return [pair for pair, good in zip(pairs, in_parallel(fits, pairs), strict=True) if good]


def image_sizes(infos: Sequence[Mapping[str, Any]], title: str = '') -> list[tuple[int, int]]:
    """Returns the (height, width) of the image of each sample.

    Args:
        infos: Fields of samples.
        title: Beside the bar of progress; '' shows none.
    """
    return in_parallel(image_size, infos, title=title)
