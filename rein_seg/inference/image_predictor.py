"""Classifies, or embeds, whole images with a loaded model.

K classes, D width of an embedding, H x W image.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from rein_seg.errors import NotFinite, UserError
from rein_seg.inference.class_list import Choice, read_class_list
from rein_seg.inference.images import is_batch, to_rgb
from rein_seg.inference.sources import find_sources, is_many
from rein_seg.models.open_vocabulary import with_own_classes


@dataclass(frozen=True, eq=False)
class ImageResult:
    """The class of an image, or its embedding.

    Attributes:
        name: Path of the file, or a name such as ``image 0``.
        classes: K names.
        scores: (K,) float32 probabilities, None of a model that embeds.
        embedding: (D,) float32, None of a model that classifies.

    Example:
        >>> import numpy as np
        >>> from rein_seg.inference.image_predictor import ImageResult
        >>> result = ImageResult('a.jpg', ('car', 'van'), np.float32([0.25, 0.75]))
        >>> result.label, result.probability, result.top(5)
        ('van', 0.75, [('van', 0.75), ('car', 0.25)])
    """

    name: str
    classes: tuple[str, ...]
    scores: np.ndarray | None = None
    embedding: np.ndarray | None = None

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.top(1)[0][0]

    @property
    def probability(self) -> float:
        """Its probability, 0..1."""
        return self.top(1)[0][1]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Returns names and probabilities of the k most probable classes, the first at front.

        Args:
            k: How many, at most K.

        Raises:
            UserError: If the model gives embeddings.
        """
        if self.scores is None:
            raise UserError(
                f'{self.name!r}: the model embeds images and has no classes: expected a head that '
                'classifies; read .embedding'
            )
        order = np.argsort(-self.scores, kind='stable')[:k]
        return [(self.classes[i], float(self.scores[i])) for i in order]


class ImagePredictor:
    """A model that classifies files, arrays, PIL images, tensors, lists and folders.

    Images are RGB, and pass the transforms of the model's test pipeline. `rein_seg.load` makes it.

    Args:
        model: The model, with ``dataset_meta``, as `rein_seg.apis.init_model` returns it.

    Example:
        >>> import rein_seg
        >>> predictor = rein_seg.load('work_dirs/pets')  # doctest: +SKIP
        >>> predictor.predict('cat.jpg').top(3)  # doctest: +SKIP
    """

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        meta = getattr(model, 'dataset_meta', None) or {}
        self.classes = tuple(str(name) for name in meta.get('classes') or ())
        self._lock = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device

    def with_classes(
        self, classes: Choice, *, unseen: Sequence[str] | None = None
    ) -> ImagePredictor:
        """Returns a predictor of other classes with the same weights, which both share.

        Args:
            classes: As for `Predictor.with_classes`.
            unseen: Names of the classes that training did not label.

        Raises:
            UserError: If the model has fixed classes, or the names are wrong.
        """
        listed = read_class_list(classes)
        model: Any = with_own_classes(self.model)
        model.set_classes(listed.classes, unseen, listed.words)
        model.dataset_meta = {**(self.model.dataset_meta or {}), 'classes': listed.classes}
        other = ImagePredictor(model)
        other._lock = self._lock  # one encoder
        return other

    def predict(self, source: Any, *, max_value: float | None = None) -> Any:
        """Returns the result of an image, or a list of the results of several.

        Args:
            source: As for `Predictor.predict`: a path, a PIL image, an array, a tensor, a list of
                these, or a folder, a zip or a pattern.
            max_value: White, for files of more than 8 bits.

        Raises:
            UserError: If an image cannot be read, or is of another type or shape.
            NotFinite: If the model gives no finite numbers.
        """
        if is_batch(source):
            named = ((one, f'image {i}') for i, one in enumerate(source))
            return [self._single(one, name, max_value) for one, name in named]
        if is_many(source):
            return list(self.each([os.fspath(source)], max_value))
        return self._single(source, 'image', max_value)

    def each(self, words: Sequence[str], max_value: float | None = None) -> Iterator[ImageResult]:
        """Yields the results of the files that words of a command name; see `find_sources`."""
        for source in find_sources(words):
            yield self._single(source.path, '', max_value)

    def _single(self, source: Any, name: str, max_value: float | None) -> ImageResult:
        image, name = to_rgb(source, name, max_value=max_value)
        return self.predict_image(image, name=name)

    @torch.no_grad()
    def predict_image(self, image: np.ndarray, *, name: str = 'image') -> ImageResult:
        """Returns the result of an (H, W, 3) uint8 RGB image."""
        results = dict(img=np.ascontiguousarray(image[..., ::-1]))
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        for step in self.model.image_steps:
            results = step(results)
        # (H, W, 3) -> (3, H, W); the model normalises
        tensor = torch.from_numpy(np.ascontiguousarray(results['img'].transpose(2, 0, 1)))
        with self._lock:  # the encoder keeps the size of the image that passes
            sample = self.model.test_step(dict(inputs=[tensor]))[0]
        kind = 'embedding' if 'embedding' in sample else 'pred_score'
        values = sample.get(kind).float().cpu().numpy()
        if not np.isfinite(values).all():
            raise NotFinite(
                f'{name}: the model gives values that are not finite: expected numbers; its '
                'training diverged, so train it with a lower learning rate'
            )
        field = 'embedding' if kind == 'embedding' else 'scores'
        return ImageResult(name, self.classes, **{field: values})
