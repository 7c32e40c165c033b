"""Predicts an input of any kind, an image, a video or a raster, and writes its files.

H x W image, K classes.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rein_seg.bands import Bands, short_list
from rein_seg.checkpoint import atomic_path
from rein_seg.datasets.files.band_files import read_bands
from rein_seg.datasets.files.pictures import read_image
from rein_seg.datasets.files.walk import check_name
from rein_seg.errors import UserError
from rein_seg.inference import rasters
from rein_seg.inference.ahead import ahead
from rein_seg.inference.augment import views
from rein_seg.inference.names import OVERLAYS, SCORES, planned
from rein_seg.inference.output import write_jpeg, write_prediction
from rein_seg.inference.predictor import Predictor
from rein_seg.inference.record import Record
from rein_seg.inference.result import Prediction, paint
from rein_seg.inference.sources import RASTERS, Source
from rein_seg.inference.tiles import check_max_tokens
from rein_seg.inference.totals import Total
from rein_seg.inference.video import Video, VideoWriter, video_writer

RASTER, VIDEO = 'raster', 'video'


@dataclass(frozen=True)
class Settings:
    """What is predicted and written, the same for all inputs.

    Attributes:
        overlays: Whether overlays are written.
        scores: Whether probabilities are written.
        tta: See `Predictor.predict`.
        max_tokens: See `Predictor.predict`.
        every: Takes each N-th frame of videos.
        max_value: White of images with more than 8 bits.
        bands: Indexes of red, green and blue in rasters.
        classes: Classes in place of the model's own, a line each; see `ClassList`.
        task: Name of the task, of a model of several; None is its first.

    Raises:
        UserError: If a value is out of its range.
    """

    overlays: bool = True
    scores: bool = False
    tta: Any = False
    max_tokens: int | None = None
    every: int = 1
    max_value: float | None = None
    bands: tuple[int, ...] | None = None
    classes: tuple[str, ...] | None = None
    task: str | None = None

    def __post_init__(self) -> None:
        views(self.tta)
        check_max_tokens(self.max_tokens)
        white = self.max_value
        if white is not None and not (0 < white < float('inf')):
            raise UserError(
                f'max_value={white}: expected the number of white, above 0, such as 4095 for 12 '
                'bits; leave it out for 8 bits and the full range of 16'
            )


@dataclass(frozen=True)
class Item:
    """An input with the name of its outputs."""

    source: Source
    name: str


Content = np.ndarray | str | Exception


def open_item(
    item: Item, settings: Settings, bands: Bands | None = None
) -> tuple[Item, Content, tuple[int, int]]:
    """Returns an input, its content, and size and time of its file.

    Args:
        item: The input.
        settings: For all inputs.
        bands: That the model takes, None for RGB.

    The content is the pixels of an image, `VIDEO`, `RASTER`, or the reason why it cannot be read.
    """
    content, stamp = _content(item.source, settings, bands)
    return item, content, stamp


def _content(
    source: Source, settings: Settings, bands: Bands | None
) -> tuple[Content, tuple[int, int]]:
    stamp = (0, 0)
    try:
        stamp = source.stamp
        check_name(source.path)
        if source.is_video and bands is not None:
            raise UserError(
                f'video {source.path!r} is in colours: the model takes {short_list(bands.names)}; '
                'give images of these bands'
            )
        if source.is_video:
            return VIDEO, stamp
        if source.suffix in RASTERS and rasters.is_raster(source.path):
            return RASTER, stamp
        if bands is not None:
            return read_bands(source.path, bands), stamp
        image = read_image(source.path, max_value=settings.max_value)
        return np.ascontiguousarray(image[..., ::-1]), stamp
    except OSError as error:
        reason = error.strerror or str(error)
        return UserError(f'image {source.path!r} cannot be read: {reason}'), stamp
    except (UserError, cv2.error) as error:
        return error, stamp


class ItemPredictor:
    """Predicts inputs one after another, and writes their files and records.

    Args:
        predictor: The model.
        folder: Of the outputs.
        settings: For all inputs.
        record: Noted in, before and after files are written.
        advance: Called with a number of finished images or frames, and a text for the progress.
    """

    def __init__(
        self,
        predictor: Predictor,
        folder: str,
        settings: Settings,
        record: Record,
        advance: Callable[[int, str], None],
    ) -> None:
        self.predictor, self.root, self.settings = predictor, Path(folder), settings
        self.record, self.advance = record, advance
        self._options = dict(tta=settings.tta, max_tokens=settings.max_tokens)

    def predict(
        self, item: Item, content: Content, stamp: tuple[int, int], *, renew: bool
    ) -> tuple[int, str | None]:
        """Predicts an input; returns the number of images and frames, and what is missing.

        Args:
            item: The input.
            content: From `open_item`.
            stamp: From `open_item`.
            renew: Whether its earlier outputs are of another command, and replaced.

        Raises:
            UserError: If the input cannot be read.
            OSError: If an output cannot be written.
        """
        if isinstance(content, Exception):
            raise content
        about = {
            'name': item.name,
            'source': os.path.abspath(item.source.path),
            'bytes': stamp[0],
            'changed_ns': stamp[1],
        }
        if isinstance(content, np.ndarray):
            return self._image(item, content, about, renew), None
        if content == RASTER:
            return self._raster(item, about, renew), None
        return self._video(item, about, renew)

    def _begin(
        self, item: Item, entry: dict[str, Any], suffixes: Sequence[str], renew: bool
    ) -> None:
        """Adds the places of output, overlay and scores to an entry, and notes it."""
        output, overlay, scores = suffixes
        entry['output'] = f'{item.name}{output}'
        if self.settings.overlays:
            entry['overlay'] = f'{OVERLAYS}/{item.name}{overlay}'
        if self.settings.scores:
            entry['scores'] = f'{SCORES}/{item.name}{scores}'
        if renew:
            _remove_outputs(self.root, item, self.record.begun.get(item.name, {}), entry)
        self.record.begin(dict(entry))

    def _image(self, item: Item, pixels: np.ndarray, about: dict[str, Any], renew: bool) -> int:
        result = self._predicted(pixels, item.source.path)
        self._begin(item, about, ('.png', '.jpg', '.npy'), renew)
        write_prediction(self.root, item.name, result, overlay=self.settings.overlays)
        self.record.finish({**about, **_figures(result)})
        self.advance(1, '')
        return 1

    def _predicted(self, pixels: np.ndarray, name: str) -> Prediction:
        keep = dict(scores=self.settings.scores, overlay=self.settings.overlays)
        return self.predictor.predict_image(pixels, name=name, **keep, **self._options)

    def _video(self, item: Item, about: dict[str, Any], renew: bool) -> tuple[int, str | None]:
        video = Video(item.source.path)
        self._begin(item, about, ('', '.mp4', ''), renew)
        total, size = Total(self.predictor.classes), ()
        with self._overlay_video(item.name, video.rate / self.settings.every) as overlays:
            for index, pixels in ahead(video.frames(self.settings.every)):
                result = self._frame(f'{item.name}/{index:06d}', pixels)
                known = not np.isnan(result.confidence)  # not of a frame of an earlier command
                total.add(result.map, result.confidence * result.map.size if known else None)
                total.frames, size = total.frames + 1, result.map.shape
                if overlays is not None:
                    overlays.add(result.overlay())
                self.advance(1, f'{item.source.name}: frame {index}')
        counts: dict[str, Any] = {
            'frames': total.frames,
            'frames_in_file': video.read,
            'frames_declared': video.count,
            'frames_per_second': video.rate,
        }
        fault = video.fault and f'video {item.source.path!r} is {video.fault}'
        if fault:
            counts['fault'] = fault
        self.record.finish({**about, **counts, **total.figures(size)})
        return total.frames, fault

    def _frame(self, name: str, pixels: np.ndarray) -> Prediction:
        path = self.root / f'{name}.png'
        scores = self.root / SCORES / f'{name}.npy'
        if path.exists() and (scores.exists() or not self.settings.scores):
            with Image.open(path) as image:
                label = np.asarray(image)
            known = dict(classes=self.predictor.classes, palette=self.predictor.palette)
            return Prediction(map=label, image=pixels, **known)
        result = self._predicted(pixels, name)
        write_prediction(self.root, name, result, overlay=False)
        return result

    @contextlib.contextmanager
    def _overlay_video(self, name: str, rate: float) -> Iterator[VideoWriter | None]:
        if not self.settings.overlays:
            yield None
            return
        with video_writer(self.root / OVERLAYS / f'{name}.mp4', rate) as writer:
            yield writer

    def _raster(self, item: Item, about: dict[str, Any], renew: bool) -> int:
        options: dict[str, Any] = dict(bands=self.settings.bands, max_value=self.settings.max_value)
        if self.predictor.bands is not None:
            options = dict(described=self.predictor.bands)
        palette, total = self.predictor.palette, Total(self.predictor.classes)
        with rasters.open_raster(item.source.path, **options) as raster:
            self._begin(item, about, ('.tif', '.jpg', '.npy'), renew)
            path = self.root / about['output']
            with contextlib.ExitStack() as stack:
                writer = stack.enter_context(rasters.map_writer(path, raster, palette))
                scores = None
                if self.settings.scores:
                    shape = (len(palette), *raster.size)
                    scores = stack.enter_context(_score_file(self.root / about['scores'], shape))
                for strip in self.predictor.predict_strips(
                    raster.read,
                    raster.size,
                    name=item.source.path,
                    scores=self.settings.scores,
                    **self._options,
                ):
                    label = raster.mark(strip.map, strip.y0)
                    writer.add(label)
                    bottom = strip.y0 + len(label)
                    if scores is not None:
                        scores[:, strip.y0 : bottom] = strip.scores
                    total.add(label, strip.confidence)
                    self.advance(0, f'{item.source.name}: row {bottom} of {raster.size[0]}')
            if self.settings.overlays:
                label = rasters.small_map(path, rasters.look_size(raster.size))
                painted = paint(raster.thumbnail(), label, self.predictor.classes, palette)
                write_jpeg(self.root / about['overlay'], painted)
            self.record.finish({**about, **total.figures(raster.size)})
        self.advance(1, '')
        return 1


def _remove_outputs(root: Path, item: Item, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Removes files of an earlier entry that no new file replaces, and old frames."""
    before, now = (
        {entry[key] for key in ('output', 'overlay', 'scores') if key in entry}
        for entry in (old, new)
    )
    for place in planned(item.name, item.source):
        path = root / place
        if path.is_dir() and place in before | now:  # a frame that is there counts as finished
            for frame in path.iterdir():
                if re.fullmatch(r'\d{6,}\.(png|npy)', frame.name):
                    frame.unlink()
        elif place in before - now:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _score_file(path: Path, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yields an array that lies in a file, (K, H, W) float16."""
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, 'w+', np.float16, shape)
        with temporary.open('r+b') as file:  # to a full disk, a mapped file ends the process
            size = temporary.stat().st_size
            if hasattr(os, 'posix_fallocate'):
                os.posix_fallocate(file.fileno(), 0, size)
            else:  # macOS
                file.truncate(size)
        yield array
        array.flush()


def _figures(result: Prediction) -> dict[str, Any]:
    return {
        'size': list(result.map.shape),
        'seconds': round(result.seconds, 4),
        'confidence': round(result.confidence, 4),
        'shares': {name: round(share, 6) for name, share in result.shares.items() if share},
    }
