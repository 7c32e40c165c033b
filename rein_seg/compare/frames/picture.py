"""The picture: a row for each frame, with image, truth and predictions; RGB uint8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rein_seg.checkpoint import atomic_path
from rein_seg.compare.frames.source import Domain
from rein_seg.errors import UserError
from rein_seg.pages.legend import legend
from rein_seg.pages.maps import colour
from rein_seg.pages.strips import GAP, row, text_line

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]
SUFFIXES = {'.png': [], '.jpg': _JPEG, '.jpeg': _JPEG}  # and options of cv2.imencode


@dataclass(frozen=True)
class Row:
    """A frame in the picture, at the width of its cells.

    Attributes:
        title: Of the frame.
        image: (h, w, 3) RGB.
        label: (h, w) class indexes, None without truth.
        maps: Likewise, a prediction of each run.
        scores: mIoU in % of each prediction, None without truth.
    """

    title: str
    image: np.ndarray
    label: np.ndarray | None
    maps: Sequence[np.ndarray]
    scores: Sequence[float | None]


def check_suffix(path: str | Path) -> None:
    """Checks that a picture can be written under a name.

    Raises:
        UserError: If its end is not .png, .jpg or .jpeg, or it is a folder.
    """
    if Path(path).suffix.lower() not in SUFFIXES or Path(path).is_dir():
        raise UserError(f'--out {str(path)!r}: expected a file name in {", ".join(SUFFIXES)}')


def draw(
    rows: Sequence[Row], names: Sequence[str], domain: Domain, *, notes: Sequence[str]
) -> np.ndarray:
    """Draws the picture.

    Args:
        rows: Of one width.
        names: Of the runs.
        domain: Gives classes and colours.
        notes: Lines below the rows.

    Returns:
        (H, W, 3).
    """
    width = rows[0].image.shape[1]
    has_truth = rows[0].label is not None
    heads = ['image', *(['truth'] if has_truth else []), *names]
    cells = dict(columns=len(heads), width=width)
    parts = [text_line(heads, **cells)]
    for one in rows:
        truth = [] if one.label is None else [colour(one.label, domain.palette)]
        maps = [colour(each, domain.palette) for each in one.maps]
        said = [f'mIoU {score:.1f} %' if score is not None else '' for score in one.scores]
        titles = [one.title, *[''] * len(truth), *said]
        parts.append(row(titles, [one.image, *truth, *maps], width=width))
    total = len(heads) * width + (len(heads) - 1) * GAP
    parts += [text_line([note], **cells) for note in notes]
    parts.append(legend(domain.classes, domain.palette, total))
    return np.vstack(parts)


def write(path: str | Path, picture: np.ndarray) -> None:
    """Writes a png or jpg whole, or not at all."""
    suffix = Path(path).suffix.lower()
    done, data = cv2.imencode(suffix, np.ascontiguousarray(picture[..., ::-1]), SUFFIXES[suffix])
    assert done, 'OpenCV encodes what check_suffix allows'
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
