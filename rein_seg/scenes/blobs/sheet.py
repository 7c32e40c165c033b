"""A sheet of examples: `python -m rein_seg.scenes.blobs.sheet FILE [FIRST]`."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from rein_seg.scenes.blobs.domains import DOMAINS
from rein_seg.scenes.blobs.generator import render

_GAP, _HEADER = 3, 18
_INK, _OUTLINE = (40, 40, 40), (80, 255, 80)


def draw_sheet(*, count: int = 4, split: str = 'val', first: int = 0) -> np.ndarray:
    """Draws a row for each domain: pictures, each with a copy that outlines the blobs."""
    rows = []
    for domain in DOMAINS:
        pictures = [render(domain, split, first + i) for i in range(count)]
        row = _strip([side for p in pictures for side in (p.image, outlined(p.image, p.label))])
        title = np.full((_HEADER, row.shape[1], 3), 255, np.uint8)
        cv2.putText(title, domain, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
        rows += [title, row]
    return np.vstack(rows)


def outlined(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Returns a copy of the picture with outlined blobs."""
    contours, _ = cv2.findContours(label, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image.copy(), contours, -1, _OUTLINE, 1)


def _strip(images: list[np.ndarray]) -> np.ndarray:
    padding = ((0, _GAP), (0, _GAP), (0, 0))
    return np.hstack([np.pad(image, padding, constant_values=255) for image in images])


def main(path: str, first: str = '0') -> None:
    """Writes the sheet; the suffix of the file chooses the format."""
    sheet = draw_sheet(first=int(first))
    done, code = cv2.imencode(Path(path).suffix, sheet, [cv2.IMWRITE_JPEG_QUALITY, 75])
    assert done
    Path(path).write_bytes(code.tobytes())


if __name__ == '__main__':
    main(*sys.argv[1:])
