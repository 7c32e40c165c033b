"""Predicts images of any size and kind with a loaded model.

K classes, H x W image.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.image import rescale_size
from mmengine.logging import print_log
from torch import nn

from rein_seg.bands import Bands
from rein_seg.datasets.files.band_pictures import as_rgb
from rein_seg.errors import NotFinite, UserError
from rein_seg.inference.augment import PLAIN, View, mirrored, scaled, scaled_size, views
from rein_seg.inference.class_list import Choice, read_class_list
from rein_seg.inference.images import is_batch, to_bands, to_rgb
from rein_seg.inference.result import Prediction
from rein_seg.inference.rows import Strip, apply_rows, label_rows, mean_rows, resize_rows
from rein_seg.inference.sources import find_sources, is_many
from rein_seg.inference.tiles import (
    Read,
    Rows,
    check_max_tokens,
    make_plan,
    predict_rows,
)
from rein_seg.models.open_vocabulary import with_own_classes
from rein_seg.palettes import palette_for, palette_with
from rein_seg.text.names import spoken


class Predictor:
    """A model that predicts files, arrays, PIL images, tensors, lists and folders.

    Images are RGB. Any size works: an image up to ``max_tokens`` patches goes in one piece, padded
    to the encoder's patch with mirrored pixels; above it, in overlapping tiles that are blended. A
    model that was tested with windows keeps its windows; a model whose test pipeline resizes images
    resizes them. Results have the image's own size, as displayed.

    A model of bands takes files, (H, W, C) arrays and (C, H, W) tensors of its bands, in the units
    of its training.

    `rein_seg.load` makes one.

    Args:
        model: The segmentor, with ``dataset_meta``, as `rein_seg.apis.init_model` returns it.

    Example:
        >>> import numpy as np
        >>> from rein_seg.apis import Predictor, init_model
        >>> predictor = Predictor(init_model('rein_tiny_miniscapes', device='cpu'))
        >>> result = predictor.predict(np.zeros((50, 90, 3), np.uint8), overlay=True)
        >>> result.map.shape, result.map.dtype, result.classes[0]
        ((50, 90), dtype('uint8'), 'road')
        >>> round(sum(result.shares.values()), 3), result.overlay().dtype
        (1.0, dtype('uint8'))
        >>> [one.map.shape for one in predictor.predict([np.zeros((9, 7), np.uint8)])]
        [(9, 7)]
    """

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        self.classes, self.palette = _names_and_colours(model)
        # of the trained classes, by the name as a text tower reads it
        self._colours = {
            spoken(name): colour for name, colour in zip(self.classes, self.palette, strict=True)
        }
        self.bands: Bands | None = getattr(model, 'image_bands', None)
        self._said: set[str] = set()
        self._lock = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device

    def with_classes(self, classes: Choice, *, unseen: Sequence[str] | None = None) -> Predictor:
        """Returns a predictor of other classes with the same weights, which both share.

        Classes of the training keep their colours.

        Args:
            classes: Names; a dict of names and words to read in their place; or a text such as
                ``'road, tram'``; see `read_class_list`.
            unseen: Names of the classes that training did not label; see
                `PEFTSegmentor.set_classes`.

        Raises:
            UserError: If the model has fixed classes, or the names are wrong.
        """
        listed = read_class_list(classes)
        model: Any = with_own_classes(self.model)
        model.set_classes(listed.classes, unseen, listed.words)
        read = [spoken(name) for name in listed.classes]
        meta = {'classes': listed.classes, 'palette': palette_with(read, self._colours)}
        model.dataset_meta = {**(getattr(self.model, 'dataset_meta', None) or {}), **meta}
        other = Predictor(model)
        other._colours, other._lock = self._colours, self._lock  # one encoder
        return other

    def predict(
        self,
        source: Any,
        *,
        scores: bool = False,
        overlay: bool = False,
        tta: Any = False,
        max_tokens: int | None = None,
        max_value: float | None = None,
    ) -> Prediction | list[Prediction] | Files:
        """Predicts one image, several images, or a folder.

        Args:
            source: A path; a PIL image; a uint8 array (H, W, 3) in RGB order or (H, W) in grey; a
                tensor (3, H, W) or (B, 3, H, W), uint8 or floats of 0..1; a list of these; a
                folder, zip or pattern such as ``'day/*.jpg'``.
            scores: Whether to keep the probabilities of all classes, (K, H, W).
            overlay: Whether to keep the image, for ``result.overlay()``.
            tta: Test-time augmentation: True averages the probabilities at scales 0.75, 1 and 1.25,
                plain and mirrored; also a list of scales, or ``dict(scales=[...], flip=False)``.
            max_tokens: Patches of the largest image that goes in one piece; default 8192. Models
                with windows of their own do not read it.
            max_value: White, for files of more than 8 bits; by default the full range of 16 bits.

        Returns:
            A `Prediction`; a list for a list or a batch; for a folder a sequence that predicts an
            image when it is taken, so a loop over it needs the memory of one.

        Raises:
            UserError: If a source is of another type or shape, or cannot be read.
            NotFinite: If the model gives no finite numbers.
        """
        options = dict(scores=scores, overlay=overlay, tta=tta, max_tokens=max_tokens)
        options['max_value'] = max_value
        _check_options(options)
        if is_batch(source):
            return [self._single(one, f'image {i}', options) for i, one in enumerate(source)]
        if is_many(source):
            return Files(self, os.fspath(source), options)
        return self._single(source, 'image', options)

    def _single(self, source: Any, name: str, options: dict[str, Any]) -> Prediction:
        rest = dict(options)
        white = rest.pop('max_value')
        if self.bands is not None:
            image, name = to_bands(source, name, self.bands)
        else:
            image, name = to_rgb(source, name, max_value=white)
        return self.predict_image(image, name=name, **rest)

    def predict_image(
        self,
        image: np.ndarray,
        *,
        name: str = 'image',
        scores: bool = False,
        overlay: bool = False,
        tta: Any = False,
        max_tokens: int | None = None,
    ) -> Prediction:
        """Predicts an (H, W, 3) uint8 RGB image, or (H, W, C) of bands; see `predict`."""
        # the encoder keeps the size of the image that passes, so threads wait for each other
        with self._lock:
            return self._predict_image(
                image, name, overlay=overlay, scores=scores, tta=tta, max_tokens=max_tokens
            )

    def _predict_image(
        self, image: np.ndarray, name: str, *, overlay: bool, **options: Any
    ) -> Prediction:
        start = time.perf_counter()
        size = image.shape[:2]
        seen = resized(image, self.model)

        def read(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
            return seen[y0:y1, x0:x1]

        parts = list(self._strips(read, seen.shape[:2], size, name=name, **options))
        return Prediction(
            map=np.concatenate([part.map for part in parts]),
            classes=self.classes,
            palette=self.palette,
            scores=_joined([part.scores for part in parts]),
            confidence=sum(part.confidence for part in parts) / (size[0] * size[1]),
            seconds=time.perf_counter() - start,
            name=name,
            image=self._picture(image) if overlay else None,
        )

    def _picture(self, image: np.ndarray) -> np.ndarray:
        return image if self.bands is None else as_rgb(image, self.bands)

    def predict_strips(
        self,
        read: Read,
        size: tuple[int, int],
        *,
        name: str = 'image',
        scores: bool = False,
        tta: Any = False,
        max_tokens: int | None = None,
    ) -> Iterator[Strip]:
        """Yields the finished rows of an image that is read in parts, from top to bottom.

        Memory does not grow with the height of the image. The image is predicted at its own
        resolution: a resize of the model's test pipeline is not applied, which a log line says.

        Args:
            read: (y0, x0, y1, x1) -> the (y1 - y0, x1 - x0, 3) uint8 RGB pixels.
            size: (H, W).
            name: For messages.
            scores: See `predict`.
            tta: See `predict`.
            max_tokens: See `predict`.
        """
        if getattr(self.model, 'image_steps', ()):
            self._say(
                f'{name}: read in parts, so it is predicted at its own resolution, without the '
                "resize of the model's test pipeline"
            )
        return self._strips(
            read, size, size, scores=scores, tta=tta, max_tokens=max_tokens, name=name
        )

    @torch.no_grad()
    def _strips(
        self,
        read: Read,
        size: tuple[int, int],
        to: tuple[int, int],
        *,
        scores: bool,
        tta: Any,
        max_tokens: int | None,
        name: str,
    ) -> Iterator[Strip]:
        """Yields the rows of an image of ``size``, resized to (H, W) ``to``."""
        head, looks, tokens = self.model.heads['decode'], views(tta), check_max_tokens(max_tokens)
        streams = [self._view(read, size, to, look, tokens, name) for look in looks]
        # sigmoids are probabilities less a bias, which decides between the classes
        as_predicted = looks == PLAIN or head.output == 'sigmoids'
        if not as_predicted:
            streams = [apply_rows(one, lambda x: head.probabilities(x[None])[0]) for one in streams]
        rows = streams[0] if looks == PLAIN else mean_rows(streams)
        try:
            yield from label_rows(rows, head, scores=scores, are_probabilities=not as_predicted)
        except NotFinite as error:
            raise NotFinite(f'{name}: {error}') from None

    def _view(
        self,
        read: Read,
        size: tuple[int, int],
        to: tuple[int, int],
        look: View,
        max_tokens: int,
        name: str,
    ) -> Iterator[Rows]:
        """Yields predictions of one view of an image, turned back to the image."""
        scale, mirror = look
        seen = scaled_size(size, scale)
        read = scaled(read, size, seen)
        plan = make_plan(self.model, seen, max_tokens=max_tokens)
        if plan.tile is not None:
            self._say(f'{name}: {seen[0]} x {seen[1]} pixels are predicted in {plan}')
        rows = predict_rows(self.model, mirrored(read, seen[1]) if mirror else read, plan)
        if mirror:
            rows = apply_rows(rows, lambda x: x.flip(-1))
        align_corners = self.model.heads['decode'].align_corners
        return resize_rows(rows, seen, to, align_corners=align_corners)

    def _say(self, line: str) -> None:
        # once for all images of a size
        what = line.partition(': ')[2]
        if what not in self._said:
            self._said.add(what)
            print_log(line, logger='current')


class Files(Sequence[Prediction]):
    """The predictions of the images of a folder or pattern, numbers in names sorted as numbers.

    Nothing is kept: an image is predicted when it is taken, and again when it is taken again. Take
    ``list(files)`` to keep all.

    Args:
        predictor: The model.
        source: A folder, searched with all that is below, a zip or a pattern; videos are left out.
        options: Of `Predictor.predict`.

    Raises:
        UserError: If there is no image.
    """

    def __init__(self, predictor: Predictor, source: str, options: dict[str, Any]) -> None:
        found = find_sources([source])
        self.paths = [one.path for one in found if not one.is_video]
        if not self.paths:
            raise UserError(
                f'no image found in {source!r}, {len(found)} videos: expected images; for videos '
                'run rein-seg predict'
            )
        self._predictor, self._options = predictor, options

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._predictor._single(self.paths[index], '', self._options)


def resized(image: np.ndarray, model: Any) -> np.ndarray:
    """Returns an image after the resizes of the model's test pipeline.

    Args:
        image: (H, W, 3) uint8, or (H, W, C) of bands.
        model: From `rein_seg.apis.init_model`.
    """
    results = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    for step in getattr(model, 'image_steps', ()):
        results = step(results) if _keeps_pixels(step, results['img']) else results
    seen = results['img']
    return seen[..., None] if seen.ndim == 2 else seen  # OpenCV drops an axis of one band


def _keeps_pixels(step: Any, image: np.ndarray) -> bool:
    """Says whether a resize leaves a pixel of each side: of a thin strip it may round to none."""
    height, width = image.shape[:2]
    if not step.keep_ratio or step.scale is None:
        return True
    return min(rescale_size((width, height), step.scale)) > 0


def _check_options(options: dict[str, Any]) -> None:
    """Checks the options before any image is read."""
    views(options['tta'])
    check_max_tokens(options['max_tokens'])


def _names_and_colours(model: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns K names and a (K, 3) uint8 palette; what the data set does not say is filled in."""
    meta, count = getattr(model, 'dataset_meta', None) or {}, model.num_classes
    classes = tuple(str(name) for name in meta.get('classes') or ())
    if len(classes) != count:
        classes = tuple(f'class {i}' for i in range(count))
    return classes, np.array(palette_for(count, meta.get('palette')), np.uint8)


def _joined(scores: list[np.ndarray | None]) -> np.ndarray | None:
    kept = [one for one in scores if one is not None]
    return np.concatenate(kept, axis=1) if kept else None
