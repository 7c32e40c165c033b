"""Files of a prediction: where they lie, what may be there before, how they are written.

H x W image, K classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rein_seg.checkpoint import atomic_path
from rein_seg.errors import UserError
from rein_seg.inference.names import OVERLAYS, SCORES, planned
from rein_seg.inference.record import Found, read_records
from rein_seg.inference.result import Prediction
from rein_seg.inference.sources import Source

_MOST_JPEG = 16_384  # pixels of a side; the format ends at 65535
_JPEG_QUALITY = 90


def check_free(
    folder: str,
    outputs: Mapping[str, Source],
    sources: Sequence[Source],
    found: Iterable[Found],
    *,
    overwrite: bool = False,
) -> None:
    """Checks that no output leaves the folder, and none replaces an input or a foreign file.

    Args:
        folder: Of the outputs; it need not exist.
        outputs: Name -> input of the outputs to write.
        sources: All inputs, also of other shards.
        found: Earlier records, whose files may be replaced.
        overwrite: Whether other files may be replaced, too; never inputs.

    Raises:
        UserError: If it would.
    """
    root = os.path.realpath(folder)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f'--out {folder!r} is a file: expected a folder; give another --out')
    inputs = {os.path.realpath(source.path): source.path for source in sources}
    ours = {name for record in found for name in record.begun}
    for name, source in outputs.items():
        for place in planned(name, source):
            path = _inside(root, place)
            victim = inputs.get(path) or _input_below(path, inputs, source)
            if victim is not None:
                raise UserError(
                    f'the output {os.path.join(folder, place)!r} would replace the input '
                    f'{victim!r}: expected outputs elsewhere; give another --out'
                )
            if not overwrite and name not in ours and os.path.lexists(path):
                raise UserError(
                    f'{os.path.join(folder, place)!r} exists, and no predictions.json there names '
                    'it: expected to write a new file; give another --out, or --overwrite'
                )


def _inside(root: str, place: str) -> str:
    path = os.path.join(root, place)
    real = os.path.join(_real(os.path.dirname(path)), os.path.basename(path))
    if not real.startswith(root.rstrip('/') + '/'):
        raise UserError(
            f'the output {path!r} would lie outside of the output folder, in {real!r}: expected '
            'no links to elsewhere; remove the link, or give another --out'
        )
    return real


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _input_below(path: str, inputs: Mapping[str, str], source: Source) -> str | None:
    if not source.is_video or not os.path.isdir(path):
        return None
    return next((given for real, given in inputs.items() if real.startswith(path + '/')), None)


class OwnFiles:
    """Tells outputs of this and of earlier commands from inputs.

    Args:
        folder: Of the outputs; if it lies in a folder of inputs, nothing in it is an input.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.inference.output import OwnFiles
        >>> is_own = OwnFiles('in/maps')
        >>> is_own('in/maps/a.png', 'in'), is_own('in/a.png', 'in')
        (True, False)
    """

    def __init__(self, folder: str) -> None:
        self.root = os.path.realpath(folder)
        self._outputs: dict[str, tuple[set[str], tuple[str, ...]]] = {}

    def __call__(self, path: str, given: str) -> bool:
        """Tells whether a file below a given folder is an output."""
        folder, name = os.path.split(os.path.abspath(path))
        real = f'{_real(folder)}/{name}'
        if real.startswith(f'{self.root}/') and self.root.startswith(_real(given) + '/'):
            return True
        above = os.path.dirname(real)
        while True:
            outputs, videos = self._of(above)
            place = real[len(above.rstrip('/')) + 1 :]
            if place in outputs or place.startswith(videos):
                return True
            if above == os.path.dirname(above):
                return False
            above = os.path.dirname(above)

    def _of(self, folder: str) -> tuple[set[str], tuple[str, ...]]:
        """Returns the outputs that records in a folder name, and the folders of their videos."""
        if folder not in self._outputs:
            try:
                found = read_records(folder)
            except (OSError, UserError):  # no record of ours
                found = []
            files: set[str] = set()
            videos: set[str] = set()
            for name, entry in ((n, e) for record in found for n, e in record.begun.items()):
                files |= {entry['output'], f'{OVERLAYS}/{name}.jpg', f'{OVERLAYS}/{name}.mp4'}
                if entry['output'] == name:
                    videos.add(f'{name}/')
            self._outputs[folder] = files, tuple(videos)
        return self._outputs[folder]


def write_prediction(
    folder: str | os.PathLike, name: str, result: Prediction, *, overlay: bool = True
) -> dict[str, Any]:
    """Writes map, overlay and scores of an image, each whole or not at all.

    Args:
        folder: Of the outputs.
        name: Of the outputs, without suffix.
        result: The prediction; scores are written if it has them.
        overlay: Whether to write an overlay.

    Returns:
        The places of the files, for the record.
    """
    root = Path(folder)
    places: dict[str, Any] = {'output': f'{name}.png'}
    if result.scores is not None:
        places['scores'] = f'{SCORES}/{name}.npy'
        write_scores(root / places['scores'], result.scores)
    if overlay:
        places['overlay'] = f'{OVERLAYS}/{name}.jpg'
        write_jpeg(root / places['overlay'], result.overlay())
    result.save(root / places['output'])
    return places


def write_scores(path: str | os.PathLike, scores: np.ndarray) -> None:
    """Writes (K, H, W) probabilities as float16, which ``np.load(path, mmap_mode='r')`` reads."""
    array = np.ascontiguousarray(scores, dtype=np.float16)
    with atomic_path(path) as temporary, temporary.open('wb') as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(array.data)  # np.save says nothing of a full disk


def write_jpeg(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes an (H, W, 3) RGB picture for the eye; one that is too large for a viewer is shrunk."""
    scale = _MOST_JPEG / max(picture.shape[:2])
    if scale < 1:
        size = tuple(max(round(side * scale), 1) for side in picture.shape[1::-1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format='JPEG', quality=_JPEG_QUALITY)
